"""The routes: what they tell, what they refuse, and that only files of a run can be had."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lora_trainer.api import PREFIX, Hooks, add_routes
from lora_trainer.api.edge import FOREVER
from lora_trainer.errors import BadCheckpoint
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


def test_a_run_from_start_to_end(client: TestClient, worker: FakeWorker, finished: str) -> None:
    assert worker.run is not None
    assert to_flat(worker.run.settings())["epochs"] == 3
    (listed,) = client.get("runs").json()
    assert abs(listed.pop("started") - time.time()) < 60
    told = {"id": finished, "name": "my_character", "state": "finished", "epochs": 3, "project": None, "current": True}
    assert listed == told
    whole = client.get(f"runs/{finished}/status").json()
    assert whole == client.get("runs/current/status").json()
    assert (whole["state"], whole["steps"], len(whole["previews"])) == ("finished", 60, 8)
    assert (whole["can"], whole["memory"], whole["alarm"]) == (["train_further"], None, None)
    assert whole["lr"][0] == [1, 1e-4] and whole["speed"] == pytest.approx(1 / 1.9, rel=1e-3)
    assert whole["texts"]["speed"] == "1.9 s a step"
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
    stopped = client.get("runs/current/status").json()
    assert (stopped["state"], stopped["can"]) == ("stopped", ["continue"])
    assert client.post("runs/current/stop", json={"when": "now"}).status_code == 409


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_pausing_and_going_on(client: TestClient, worker: FakeWorker) -> None:
    worker.hold_at = 5
    run_id = client.post("runs", json=FLAT).json()["id"]
    until(lambda: client.get("runs/current/status").json().get("step") == 5)
    assert client.get("runs/current/status").json()["can"] == ["stop_now", "stop_after_epoch", "pause", "sample"]
    assert client.post("runs/current/sample", json={}).status_code == 200
    assert worker.commands.wants_sample()
    assert client.post("runs/current/continue", json={}).json()["key"] == "run_going"
    assert client.post("runs/current/stop", json={"when": "pause"}).json()["stopping"] == "pause"
    worker.wait()
    paused = client.get("runs/current/status").json()
    assert (paused["state"], paused["can"]) == ("paused", ["continue"])
    assert client.post("runs/current/sample", json={}).status_code == 409
    assert client.post("runs/current/continue", json={}).json() == {"id": run_id}
    worker.wait()
    whole = client.get("runs/current/status").json()
    assert (whole["state"], whole["step"], len(whole["previews"])) == ("finished", 60, 8)
    assert whole["lr"][-1] == [60, 1e-4]
    assert client.post("runs/current/continue", json={}).json()["key"] == "run_nothing_left"


def test_events_in_portions(client: TestClient, finished: str) -> None:
    first = client.get(f"runs/{finished}/events", params={"limit": 10}).json()
    assert (len(first["events"]), first["next"], first["events"][0]["kind"]) == (10, 10, "started")
    rest = client.get(f"runs/{finished}/events", params={"since": first["next"]}).json()
    assert rest["events"][-1]["kind"] == "finished" and rest["state"] == "finished"
    assert client.get(f"runs/{finished}/events", params={"since": rest["next"]}).json()["events"] == []
    assert client.get(f"runs/{finished}/events", params={"limit": 0}).json()["key"] == "bad_request"


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


def behind(worker: FakeWorker, **hooks: Any) -> tuple[FastAPI, TestClient]:
    app = FastAPI()
    add_routes(app, worker, Hooks(**hooks))  # type: ignore[arg-type]
    return app, TestClient(app, base_url=f"http://testserver{PREFIX}/")


GUARDED = ("runs", "texts", "about", "schema", "runs/current/status", "page/x/main.mjs")


def test_gradios_login_is_ours_too(worker: FakeWorker) -> None:
    app, client = behind(worker)
    assert client.get("runs").status_code == 200
    vars(app).update(auth={"user": "word"}, tokens={"good": "user"})
    for path in GUARDED:
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"cookie": "access-token-unsecure=bad"}).status_code == 401
        assert client.get(path, headers={"cookie": "access-token-unsecure=good"}).status_code == 200
    assert client.post("runs", json=FLAT).status_code == 401
    assert "www-authenticate" not in client.get("runs").headers


def test_the_apis_password_is_ours_too(worker: FakeWorker) -> None:
    app, client = behind(worker, password=lambda user, word: (user, word) == ("me", "wörd:1"), listening=True)
    for path in GUARDED:
        refused = client.get(path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Basic")
        assert client.get(path, auth=("me", "other")).status_code == 401
        assert client.get(path, headers={"authorization": "Basic \u00e9".encode("latin-1")}).status_code == 401
        assert (
            client.get(path, headers={"authorization": f"Basic {b64encode('me:wörd:1'.encode()).decode()}"}).status_code
            == 200
        )
    assert client.post("runs", json=FLAT).status_code == 401
    vars(app).update(auth={"user": "word"}, tokens={"good": "user"})  # with both, either will do
    assert client.get("about", headers={"cookie": "access-token=good"}).json()["listening_without_password"] is False
    assert client.get("about").status_code == 401


@pytest.mark.parametrize(
    ("hooks", "open_to_all"),
    [
        ({}, False),
        ({"listening": True}, True),
        ({"listening": True, "login": True}, False),
        ({"listening": True, "password": lambda user, word: True}, False),
    ],
)
def test_who_listens_without_a_password_is_told(worker: FakeWorker, hooks: dict[str, Any], open_to_all: bool) -> None:
    _, client = behind(worker, **hooks)
    assert client.get("about", auth=("a", "b")).json()["listening_without_password"] is open_to_all


def test_what_the_page_is_told_at_first(worker: FakeWorker) -> None:
    _, client = behind(worker, checkpoint=lambda: "a [1]", family=lambda: "SD1", language=lambda: "zh_CN", host="webui")
    about = client.get("about").json()
    assert about["checkpoint"] == {"title": "a [1]", "family": "SD1"}
    assert (about["language"], about["languages"], about["host"]) == ("zh", ["en", "zh"], "webui")
    assert client.get(f"page/{about['page']}/main.mjs").headers["cache-control"] == FOREVER
    assert client.get("page/other/main.mjs").headers["cache-control"] != FOREVER

    def none() -> str:
        raise BadCheckpoint("checkpoint_none")

    _, client = behind(worker, checkpoint=none)
    assert "。" in client.get("about", params={"lang": "zh"}).json()["checkpoint"]["problem"]


@pytest.mark.parametrize("name", ["nothing.mjs", "..%2Ftab.py", "../tab.py", "%2e%2e/tab.py", "/etc/passwd", ""])
def test_only_the_pages_own_files(client: TestClient, name: str) -> None:
    assert client.get(f"page/x/{name}").status_code == 404


def test_unexpected_failures_are_told_and_logged(client: TestClient, worker: FakeWorker, caplog: Any) -> None:
    worker.start = lambda *_: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    answer = client.post("runs", json=FLAT)
    assert (answer.status_code, answer.json()["key"]) == (500, "unexpected")
    assert "division by zero" in answer.json()["message"]
    assert "POST /lora_trainer/v1/runs failed" in caplog.text


def test_the_languages(client: TestClient) -> None:
    assert client.get("texts").json()["ui.train.start"] == "Start training"
    assert client.get("texts", headers={"accept-language": "zh-CN,zh;q=0.9"}).json()["ui.train.start"] == "开始训练"
    assert (
        client.get("texts", params={"lang": "en"}, headers={"accept-language": "zh"}).json()["ui.train.start"]
        == "Start training"
    )


def test_the_grid_for_the_webui(client: TestClient, worker: FakeWorker, settings: Settings, finished: str) -> None:
    pytest.importorskip("torch")
    told = client.get(f"runs/{finished}/infotext").json()
    assert told["problem"] == ""
    assert told["infotext"].startswith("mychr <lora:my_character-NUM:STRENGTH>")
    assert 'X Values: "NUM,000001,000002,000003"' in told["infotext"]
    assert 'Y Values: "STRENGTH,0.6,0.8,1"' in told["infotext"]
