"""Pictures, cards, the progress bar and the callbacks, on the WebUI of paper."""

from __future__ import annotations

import importlib
import json
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from lora_trainer.errors import RunFailed, UserError
from lora_trainer.events import Event, Progress, Stage, Started, Stepped
from lora_trainer.host.protocol import ImageRequest, LoraCard
from tests.webui.paper import Paper, lora

pytest_plugins = ["tests.webui.paper"]

STARTED = Started(name="x", images=3, held_out=0, epochs=2, steps=40, device="cpu", checkpoint="tiny")


def asked(prompt: str = "a cat", **values: Any) -> ImageRequest:
    return ImageRequest(prompt=prompt, width=8, height=8, **values)


def test_pictures_come_in_order_each_with_its_lora(paper: Paper, host: Any) -> None:
    mine = lora(paper)
    requests = [asked(), asked(lora=mine, weight=0.8), asked(lora=mine, weight=1.0)]
    assert [picture.request for picture in host.generate(requests)] == requests
    assert [p.prompt for p in paper.drawn] == ["a cat", "a cat <lora:mine-000001:0.8>", "a cat <lora:mine-000001:1>"]
    assert all(p.is_api and p.do_not_save_samples and p.do_not_save_grid for p in paper.drawn)
    assert not paper.lock.locked() and paper.state.job == ""


def test_a_picture_broken_off_is_not_given(paper: Paper, host: Any) -> None:
    assert len(list(host.generate([asked(), asked("interrupt"), asked()]))) == 1
    drawing = host.generate([asked(), asked(), asked()])
    next(drawing)
    paper.state.stopping_generation = True
    assert list(drawing) == []
    assert not paper.lock.locked()
    assert len(list(host.generate([asked("skip"), asked()]))) == 2 and paper.skips == 1


def test_a_picture_broken_off_by_a_reload_is_drawn_again(paper: Paper, host: Any) -> None:
    host.page_closes()
    threading.Timer(0.3, host.page_opens).start()
    assert len(list(host.generate([asked("reload"), asked()]))) == 2
    assert [p.prompt for p in paper.drawn] == ["reload", "reload", "a cat"]


def test_an_abandoned_drawing_gives_the_turn_back(paper: Paper, host: Any) -> None:
    drawing = host.generate([asked(), asked()])
    next(drawing)
    assert paper.lock.locked()
    del drawing
    assert not paper.lock.locked()


def test_what_cannot_be_drawn_is_said(paper: Paper, host: Any, tmp_path: Path) -> None:
    twice, _ = lora(paper, "twice-000001"), lora(paper, "twice-000001", "sub")
    away = tmp_path / "away-000001.safetensors"
    away.write_bytes(b"x")
    for path, key in (
        (paper.loras / "gone-000001.safetensors", "lora_missing"),
        (away, "webui_lora_elsewhere"),
        (twice, "webui_lora_hidden"),
    ):
        with pytest.raises(UserError) as refusal:
            next(host.generate([asked(lora=path)]))
        assert refusal.value.key == key
    with pytest.raises(RunFailed, match="no memory"):
        next(host.generate([asked("fail")]))
    mine = lora(paper)
    next(host.generate([asked(lora=mine)]))
    paper.extension.loaded_networks.clear()
    sys.modules["modules.processing"].process_images = lambda p: SimpleNamespace(images=[Image.new("RGB", (8, 8))])  # type: ignore[attr-defined]
    with pytest.raises(RunFailed) as failure:
        next(host.generate([asked(lora=mine)]))
    assert failure.value.key == "webui_lora_ignored"
    assert not paper.lock.locked()


def test_without_the_lora_extension_only_the_base_is_drawn(
    paper: Paper, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "networks")
    with pytest.raises(UserError) as refusal:
        next(host.generate([asked(lora=lora(paper))]))
    assert refusal.value.key == "webui_lora_extension"
    with host.exclusive():
        pass


def test_the_grid_is_drawn_on_the_checkpoint_that_was_trained(paper: Paper, host: Any) -> None:
    other = SimpleNamespace(filename="other", title="other")
    models = sys.modules["modules.sd_models"]

    def run() -> None:
        with host.exclusive():
            host.checkpoint()
        models.select_checkpoint = lambda: other  # type: ignore[attr-defined]  # the user selects another meanwhile
        next(host.generate([asked()]))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    next(host.generate([asked()]))  # no run of this thread: what is selected
    assert [p.override_settings for p in paper.drawn] == [{"sd_model_checkpoint": "tiny.safetensors [12]"}, {}]


def test_the_card_lies_beside_the_file(paper: Paper, host: Any, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "cover.png")
    mine = lora(paper)
    card = LoraCard(activation_text="sks", preferred_weight=0.8, sd_version="SD1", preview=tmp_path / "cover.png")
    host.publish(mine, card)
    values = json.loads(mine.with_suffix(".json").read_text(encoding="utf-8"))
    assert (values["activation text"], values["preferred weight"], values["sd version"]) == ("sks", 0.8, "SD1")
    assert mine.with_suffix(".png").read_bytes() == (tmp_path / "cover.png").read_bytes()
    assert paper.log == ["list loras"]


def test_the_progress_bar_follows_the_run(paper: Paper, host: Any) -> None:
    state = paper.state
    host.report(STARTED)
    assert state.job == ""  # the turn is another's
    with host.exclusive():
        host.report(Stage(stage="caching", total=4))
        host.report(Progress(stage="caching", done=1, total=4))
        assert (state.sampling_step, state.sampling_steps, state.job_count) == (1, 4, 1)
        host.report(Stage(stage="training", total=40))
        state.job, state.job_count = "", 0  # another tab's job ended
        host.report(Stepped(step=10, epoch=1, loss=0.25, lr=1e-4, seconds=0.1))
        assert (state.sampling_step, state.sampling_steps, state.job_count) == (10, 40, 1)
        assert state.textinfo == "LoRA Trainer: epoch 1 of 2, step 10 of 40, loss 0.2500"
        sys.modules["modules.shared"].opts.localization = "zh_CN"  # type: ignore[attr-defined]
        host.report(Stepped(step=11, epoch=1, loss=0.25, lr=1e-4, seconds=0.1))
        assert "第 11/40 步" in state.textinfo
    assert not host.interrupted()


def test_report_raises_nothing(paper: Paper, host: Any, caplog: pytest.LogCaptureFixture) -> None:
    with host.exclusive():
        host.report(Stage(stage="nonsense", total=1))
        host.report(Event())
    assert len(caplog.records) == 2


def test_a_stop_button_counts_unless_the_page_reloads(paper: Paper, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("lora_trainer.host.webui_turn.time.monotonic", lambda: now[0])
    paper.state.interrupted = True
    assert not host.interrupted()  # not our turn
    with host.exclusive():
        assert not host.interrupted()
        paper.state.interrupted = True
        assert not host.interrupted()
        host.page_closes()
        now[0] += 10
        assert not host.interrupted()
        host.page_opens()
        assert not host.interrupted() and not paper.state.interrupted
        paper.state.interrupted = True
        assert not host.interrupted()
        now[0] += 10
        assert host.interrupted()


def test_paths_lie_where_the_webui_has_them(paper: Paper, host: Any, tmp_path: Path) -> None:
    assert host.paths.loras == paper.loras
    assert host.paths.runs == tmp_path / "lora_trainer" / "runs"
    assert host.paths.checkpoints == tmp_path
    assert [tagger.name for tagger in host.taggers()] == ["deepbooru"]


def test_installed_taggers_are_named(paper: Paper, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    utils = ModuleType("tagger.utils")
    utils.interrogators = {}  # type: ignore[attr-defined]
    utils.refresh_interrogators = lambda: setattr(utils, "interrogators", {"wd14-vit-v2": 1})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tagger.utils", utils)
    assert [tagger.name for tagger in host.taggers()] == ["wd14-vit-v2", "deepbooru"]


def test_the_tab_opens_with_or_without_its_packages(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    tab = SimpleNamespace(
        build=lambda paste, language: built.append(paste) or "tab",
        build_missing=lambda why, language: built.append(why) or "explanation",
    )
    routes = SimpleNamespace(
        Hooks=lambda *values, **named: named, add_routes=lambda app, worker, hooks: built.append((app, worker, hooks))
    )
    app = importlib.import_module("lora_trainer.host.webui_app")
    monkeypatch.setattr(app, "LOOK_S", 1e6)
    app.register(lambda: tab, lambda: routes)
    assert paper.on_ui_tabs() == [("tab", app.NAME, "lora_trainer")]  # type: ignore[attr-defined]
    paper.on_app_started(None, "app")  # type: ignore[attr-defined]
    name, worker, hooks = built[1]
    assert (name, worker) == ("app", app.worker())
    assert hooks["checkpoint"]() == "tiny.safetensors [12]" and hooks["extras"]() == {"Clip skip": 2}
    paper.on_script_unloaded()  # type: ignore[attr-defined]
    assert app.worker() is worker

    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None if name == "peft" else object())
    assert paper.on_ui_tabs()[0][0] == "explanation" and "peft" in built[-1]  # type: ignore[attr-defined]
    paper.on_app_started(None, "app")  # type: ignore[attr-defined]
    assert len(built) == 3
