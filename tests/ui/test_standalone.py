"""Our own page: that it keeps to this computer, and is what the WebUI's tab is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lora_trainer.api.page import page_version
from lora_trainer.errors import UserError
from lora_trainer.ui.standalone import _listening, page
from tests.api.fake import FakeWorker

HERE = "http://127.0.0.1:7861"


@pytest.fixture()
def worker(home: Path) -> FakeWorker:
    return FakeWorker(home)


def test_the_page_keeps_to_this_computer(worker: FakeWorker) -> None:
    app = page(worker)  # type: ignore[arg-type]
    assert TestClient(app, base_url="http://evil.example").get("/").status_code == 400
    answer = TestClient(app, base_url=HERE).get("/", headers={"origin": "https://evil.example"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in answer.text


def test_everything_that_the_page_names_is_there(worker: FakeWorker) -> None:
    client = TestClient(page(worker), base_url=HERE)  # type: ignore[arg-type]
    named = re.findall(r'(?:src|href)="\./([^"]+)"', client.get("/").text)
    assert {Path(name).name for name in named} == {"standalone.css", "standalone.mjs"}
    for name in named:
        assert f"/page/{page_version()}/" in name
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/lora_trainer/v1/texts").json()["ui.shell.title"]


def test_the_page_knows_what_it_trains_on(worker: FakeWorker) -> None:
    about = TestClient(page(worker), base_url=HERE).get("/lora_trainer/v1/about").json()  # type: ignore[arg-type]
    assert about["checkpoint"] == {"title": "sprites.safetensors [1eeb9df217]", "family": "SD1"}
    assert (about["host"], about["listening_without_password"]) == ("standalone", False)


def test_a_taken_port_is_told() -> None:
    with _listening(0) as listener:
        listener.listen()
        with pytest.raises(UserError) as caught:
            _listening(listener.getsockname()[1])
    assert caught.value.key == "port_taken"
