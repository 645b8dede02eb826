"""The routes: what they tell, what they refuse, and that only files of a run can be had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lora_trainer.api import PREFIX, Hooks, add_routes
from lora_trainer.settings import Settings, to_flat
from tests.api.fake import FakeWorker

FLAT = {"images": "/somewhere", "trigger": "mychr", "name": "my_character", "epochs": 3}


@pytest.fixture()
def worker(home: Path) -> FakeWorker:
    return FakeWorker(home)


@pytest.fixture()
def client(worker: FakeWorker) -> TestClient:
    app = FastAPI()
    add_routes(app, worker, Hooks(checkpoint=lambda: "a checkpoint"))
    return TestClient(app, base_url=f"http://testserver{PREFIX}/")


@pytest.fixture()
def finished(client: TestClient, worker: FakeWorker) -> str:
    run_id = client.post("runs", json=FLAT).json()["id"]
    worker.wait()
    return run_id


def test_before_the_first_run(client: TestClient) -> None:
    assert client.get("runs").json() == []
    status = client.get("runs/current/status").json()
    assert (status["id"], status["state"], status["busy"]) == (None, "none", False)
    assert client.get("checkpoint").json() == {"title": "a checkpoint", "problem": ""}


def test_a_run_from_start_to_end(client: TestClient, worker: FakeWorker, finished: str) -> None:
    assert worker.run is not None
    assert to_flat(worker.run.settings())["epochs"] == 3
    assert client.get("runs").json() == [{"id": finished, "current": True}]
    whole = client.get(f"runs/{finished}/status").json()
    assert whole == client.get("runs/current/status").json()
    assert (whole["state"], whole["steps"], len(whole["previews"])) == ("finished", 60, 8)
    assert client.get("runs/current/status", params={"lang": "zh"}).json()["texts"]["headline"] == "已完成"
    for picture in (whole["previews"][-1]["url"], whole["sheet"]):
        answer = client.get(picture)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    report = client.get(whole["report"])
    assert report.headers["content-type"] == "text/html; charset=utf-8"
    assert report.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


def test_without_news_little_is_told(client: TestClient, finished: str) -> None:
    whole = client.get("runs/current/status").json()
    news = client.get("runs/current/status", params={"since": whole["lines"]}).json()
    assert "texts" not in news and news["lines"] == whole["lines"]


@pytest.mark.parametrize(
    "path",
    ["picture/8", "picture/-1", "picture/x", "picture/..%2f..%2frun.json", "file/run.json"],
)
def test_only_pictures_of_the_run(client: TestClient, finished: str, path: str) -> None:
    assert client.get(f"runs/{finished}/{path}").status_code in (404, 422)


@pytest.mark.parametrize("run_id", ["nothing", "..", "%2e%2e", "..%2Fruns"])
def test_ids_are_not_paths(client: TestClient, finished: str, run_id: str) -> None:
    assert client.get(f"runs/{run_id}/status").status_code == 404


def test_events_that_point_elsewhere_give_no_file(client: TestClient, worker: FakeWorker, finished: str) -> None:
    from lora_trainer.events import Compared, Previewed

    assert worker.run is not None
    secret = worker.host.paths.runs.parent / "secret.png"
    secret.write_bytes(b"secret")
    worker.run.append(Previewed(epoch=9, index=0, prompt="p", path="../../secret.png"))
    worker.run.append(Compared(sheet="run.json", cells=1))
    assert client.get(f"runs/{finished}/picture/8").status_code == 404
    assert client.get(f"runs/{finished}/sheet").status_code == 404


@pytest.mark.parametrize(
    ("values", "code", "key", "field"),
    [
        ({**FLAT, "images": ""}, 422, "folder_unset", "images"),
        ({**FLAT, "epochs": 0}, 422, "setting_range", "epochs"),
        ({**FLAT, "epoch": 1}, 422, "setting_unknown", "epoch"),
    ],
)
def test_what_a_user_can_mend(client: TestClient, values: dict[str, Any], code: int, key: str, field: str) -> None:
    answer = client.post("runs", json=values, params={"lang": "zh"})
    assert (answer.status_code, answer.json()["key"], answer.json()["field"]) == (code, key, field)
    assert "。" in answer.json()["message"]
    assert client.get("runs").json() == []


def test_one_run_at_a_time_and_stopping_it(client: TestClient, worker: FakeWorker) -> None:
    worker.hold_at = 5
    assert client.post("runs", json=FLAT).status_code == 201
    assert client.post("runs", json=FLAT).status_code == 409
    assert client.post("runs/current/stop", json={"when": "later"}).status_code == 422
    assert client.post("runs/current/stop", json={"when": "after_epoch"}).json()["stopping"] == "after_epoch"
    assert client.post("runs/current/stop", json={"when": "now"}).json()["stopping"] == "now"
    worker.wait()
    assert client.get("runs/current/status").json()["state"] == "stopped"
    assert client.post("runs/current/stop", json={"when": "now"}).status_code == 409


@pytest.mark.parametrize("order", ["runs", "runs/current/stop"])
def test_orders_of_other_sites_are_refused(client: TestClient, worker: FakeWorker, order: str) -> None:
    body = b'{"when": "now", "images": "/x"}'
    json = {"content-type": "application/json"}
    refused = [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
        ({**json, "origin": "https://evil.example"}, 403),
        ({**json, "origin": "null"}, 403),
        ({**json, "origin": "http://testserver", "sec-fetch-site": "cross-site"}, 403),
        ({**json, "origin": "http://testserver", "sec-fetch-site": "same-site"}, 403),
    ]
    for headers, code in refused:
        assert client.post(order, content=body, headers=headers).status_code == code, headers
    assert worker.run is None
    for headers in (
        {"origin": "http://testserver"},
        {"origin": "https://proxy.example", "sec-fetch-site": "same-origin"},
    ):
        assert client.post(order, content=body, headers={**json, **headers}).status_code not in (403, 415)


def test_gradios_login_is_ours_too(worker: FakeWorker) -> None:
    app = FastAPI()
    add_routes(app, worker)
    client = TestClient(app, base_url=f"http://testserver{PREFIX}/")
    assert client.get("runs").status_code == 200
    vars(app).update(auth={"user": "word"}, tokens={"good": "user"})
    for path in ("runs", "texts", "runs/current/status", "checkpoint"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"cookie": "access-token-unsecure=bad"}).status_code == 401
        assert client.get(path, headers={"cookie": "access-token-unsecure=good"}).status_code == 200
    assert client.post("runs", json=FLAT).status_code == 401


def test_unexpected_failures_are_told_and_logged(client: TestClient, worker: FakeWorker, caplog: Any) -> None:
    worker.start = lambda *_: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    answer = client.post("runs", json=FLAT)
    assert (answer.status_code, answer.json()["key"]) == (500, "unexpected")
    assert "division by zero" in answer.json()["message"]
    assert "POST /lora_trainer/v1/runs failed" in caplog.text


def test_the_languages(client: TestClient) -> None:
    assert client.get("texts").json()["ui.start"] == "Start training"
    assert client.get("texts", headers={"accept-language": "zh-CN,zh;q=0.9"}).json()["ui.start"] == "开始训练"
    assert (
        client.get("texts", params={"lang": "en"}, headers={"accept-language": "zh"}).json()["ui.start"]
        == "Start training"
    )


def test_the_grid_for_the_webui(client: TestClient, worker: FakeWorker, settings: Settings, finished: str) -> None:
    pytest.importorskip("torch")
    told = client.get(f"runs/{finished}/infotext").json()
    assert told["problem"] == ""
    assert told["infotext"].startswith("mychr <lora:my_character-NUM:STRENGTH>")
    assert 'X Values: "NUM,000001,000002,000003"' in told["infotext"]
    assert 'Y Values: "STRENGTH,0.6,0.8,1"' in told["infotext"]
