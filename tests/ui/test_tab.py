"""The tab as gradio builds it: its ids, its events with and without the queue, and the page around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi.testclient import TestClient

from lora_trainer.errors import UserError
from lora_trainer.settings import Settings, fields, to_flat
from lora_trainer.ui.standalone import _listening, page
from lora_trainer.ui.tab import build, build_missing
from tests.api.fake import FakeWorker

BUTTONS = {"start", "check", "stop_now", "stop_after_epoch", "use"}


@pytest.fixture()
def worker(home: Path) -> FakeWorker:
    return FakeWorker(home)


def ids(blocks: gr.Blocks) -> set[str]:
    found = (block.elem_id for block in blocks.blocks.values() if block.elem_id)
    return {name.removeprefix("lora_trainer_") for name in found}


def test_everything_can_be_found_by_its_id(worker: FakeWorker) -> None:
    assert {*fields(), *BUTTONS, "message"} <= ids(build(worker))
    assert not {"send_xyz", "infotext"} & ids(build(worker))


def test_the_webui_gets_the_button_that_sends_to_its_plot(worker: FakeWorker) -> None:
    pasted: list[tuple[Any, Any]] = []
    blocks = build(worker, paste=lambda button, box: pasted.append((button, box)))
    ((button, box),) = pasted
    assert (button.elem_id, box.elem_id) == ("lora_trainer_send_xyz", "lora_trainer_infotext")
    assert {"send_xyz", "infotext"} <= ids(blocks)


def test_events_need_no_queue(worker: FakeWorker) -> None:
    for dependency in build(worker).dependencies:
        assert dependency["queue"] is False
        assert dependency["every"] is None
        assert not any(dependency["types"].values())


def test_nothing_is_frozen_in_the_webuis_settings(worker: FakeWorker) -> None:
    assert all(getattr(block, "do_not_save_to_config", False) for block in build(worker).blocks.values())


def test_the_hosts_language_is_built_in(worker: FakeWorker) -> None:
    labels = {
        block.value for block in build(worker, language=lambda: "zh_CN").blocks.values() if isinstance(block, gr.Button)
    }
    assert "开始训练" in labels


def test_a_trainer_that_cannot_work_says_why() -> None:
    blocks = build_missing("peft is missing: run <pip>", language="zh")
    (html,) = (block.value for block in blocks.blocks.values() if isinstance(block, gr.HTML))
    assert "peft is missing: run &lt;pip&gt;" in html
    assert 'role="alert"' in html and "WebUI 本身不受影响" in html


def pressed(client: TestClient, blocks: gr.Blocks, button: str, values: dict[str, Any]) -> str:
    """What the box beside the form shows after a press, asked as gradio's page asks without its queue."""
    number, dependency = next(
        (number, dependency)
        for number, dependency in enumerate(blocks.dependencies)
        if any(blocks.blocks[target].elem_id == f"lora_trainer_{button}" for target in dependency["targets"])
    )
    shown = {name: "\n".join(map(str, value)) if isinstance(value, tuple) else value for name, value in values.items()}
    shown["grid_weights"] = ", ".join(map(str, values["grid_weights"]))
    data = [shown[blocks.blocks[number].elem_id.removeprefix("lora_trainer_")] for number in dependency["inputs"]]
    answer = client.post("/run/predict", json={"fn_index": number, "data": data, "session_hash": "s"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"][0]) if answer.json()["data"] else ""


@pytest.mark.parametrize("queue", [False, True])
def test_starting_with_and_without_the_queue(worker: FakeWorker, settings: Settings, queue: bool) -> None:
    app = page(worker)
    blocks = app.blocks  # type: ignore[attr-defined]
    if queue:
        blocks.queue(64)
    client = TestClient(app, base_url="http://127.0.0.1:7861", headers={"accept-language": "zh-CN,zh;q=0.9"})
    told = pressed(client, blocks, "start", {**to_flat(settings), "images": ""})
    assert 'role="alert" data-field="images"' in told and "图片文件夹" in told
    assert worker.run is None
    assert pressed(client, blocks, "start", to_flat(settings)) == ""
    worker.wait()
    assert worker.run is not None and worker.run.settings() == settings
    assert worker.languages == ["zh"]


def test_stopping(worker: FakeWorker, settings: Settings) -> None:
    app = page(worker)
    client = TestClient(app, base_url="http://127.0.0.1:7861")
    for button, told in (("stop_after_epoch", "stopping_after_epoch"), ("stop_now", "stopping_now")):
        assert pressed(client, app.blocks, button, to_flat(settings)) == ""  # type: ignore[attr-defined]
        assert getattr(worker.commands, told)


def test_what_goes_wrong_is_shown_and_changes_nothing(worker: FakeWorker, settings: Settings, caplog: Any) -> None:
    worker.start = lambda *_: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    app = page(worker)
    client = TestClient(app, base_url="http://localhost:7861")
    told = pressed(client, app.blocks, "start", to_flat(settings))  # type: ignore[attr-defined]
    assert "division by zero" in told and 'role="alert"' in told
    assert "ZeroDivisionError" in caplog.text


def test_the_page_keeps_to_this_computer(worker: FakeWorker) -> None:
    app = page(worker)
    assert TestClient(app, base_url="http://evil.example").get("/").status_code == 400
    client = TestClient(app, base_url="http://127.0.0.1:7861")
    answer = client.get("/", headers={"origin": "https://evil.example"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "fonts.googleapis.com/css" not in answer.text
    assert client.get("/lora_trainer/v1/script.js").headers["content-type"].startswith("text/javascript")
    assert client.get(f"/file={Path(__file__)}").status_code == 403


def test_a_taken_port_is_told() -> None:
    with _listening(0) as listener:
        listener.listen()
        with pytest.raises(UserError) as caught:
            _listening(listener.getsockname()[1])
    assert caught.value.key == "port_taken"
