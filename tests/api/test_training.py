"""Presets, plan, start and queue as a page asks for them, on the shipped small checkpoint; nothing is trained."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lora_trainer.api import PREFIX, Hooks, add_routes
from lora_trainer.host.standalone import StandaloneHost
from lora_trainer.interop.exporting import to_kohya
from lora_trainer.settings import from_flat
from tests.api.fake import FakeWorker
from worlds.sprites.concepts import SETS

CHECKPOINT = SETS.with_name("sprites.safetensors")


@pytest.fixture()
def worker(home: Path) -> FakeWorker:
    made = FakeWorker(home)
    made.host = StandaloneHost(home, CHECKPOINT)  # type: ignore[assignment]
    return made


@pytest.fixture()
def client(worker: FakeWorker) -> TestClient:
    app = FastAPI()
    client = TestClient(app, base_url=f"http://testserver{PREFIX}/")
    client.services = add_routes(app, worker, Hooks())  # type: ignore[attr-defined]
    return client


@pytest.fixture()
def project(client: TestClient) -> str:
    made = client.post("projects", json={"name": "ghost"}).json()["id"]
    of(client, made).change({"images": str(SETS / "ghost"), "in_place": True})
    assert client.patch(f"projects/{made}", json={"settings": {"trigger": "ghst"}}).status_code == 200
    return str(made)


def of(client: TestClient, project: str) -> Any:
    return client.services.projects.find(project)  # type: ignore[attr-defined]


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_plan_of_a_project_that_is_ready(client: TestClient, project: str) -> None:
    plan = client.get(f"projects/{project}/plan", params={"lang": "zh"}).json()
    assert plan["problems"] == []
    assert plan["preset"]["id"] == "character-sd1-cpu"
    assert set(plan["reasons"]) <= set(plan["values"])
    assert (plan["values"]["resolution"], plan["values"]["max_bucket_reso"], plan["values"]["unet_lr"]) == (
        128,
        128,
        2e-3,
    )
    assert plan["values"]["name"] == "ghost"
    assert plan["changed"] == ["trigger"]
    assert plan["steps"] > 100
    assert plan["seconds"] > 0 and plan["memory"] is None
    assert 0 < plan["disk"]["need"] < plan["disk"]["free"]
    assert "粗略" in plan["texts"]["time"]
    assert plan["unusual"] == []
    assert plan["sentence"]


def test_a_plan_names_every_problem_at_its_field(client: TestClient) -> None:
    made = client.post("projects", json={"name": "empty"}).json()["id"]
    client.patch(f"projects/{made}", json={"settings": {"unet_lr": 0.0, "name": "a/b"}})
    plan = client.get(f"projects/{made}/plan").json()
    assert {one["field"] for one in plan["problems"]} == {"images", "name", "trigger", "unet_lr"}
    refused = client.post(f"projects/{made}/start", json={})
    assert (refused.status_code, refused.json()["field"]) == (422, plan["problems"][0]["field"])


def test_what_is_unusual_is_said_and_not_forbidden(client: TestClient, project: str) -> None:
    changes = {"unet_lr": 0.5, "network_alpha": 64.0, "resolution": 512, "batch_size": 64, "epochs": 1}
    client.patch(f"projects/{project}", json={"settings": changes})
    plan = client.get(f"projects/{project}/plan").json()
    assert {"unet_lr", "network_alpha", "resolution", "batch_size", "epochs"} <= {
        one["field"] for one in plan["unusual"]
    }
    assert set(plan["changed"]) == {"trigger", *changes}
    assert plan["problems"] == []


def test_start_queue_and_a_restart(client: TestClient, worker: FakeWorker, project: str, home: Path) -> None:
    worker.hold_at = 3
    first = client.post(f"projects/{project}/start", json={"queue": True}).json()["run"]
    assert of(client, project).read()["runs"] == [first]
    client.patch(f"projects/{project}", json={"settings": {"name": "second"}})
    second = client.post(f"projects/{project}/start", json={"queue": True}).json()["queued"]
    swept = client.post("queue", json={"project": project, "sweep": {"field": "network_dim", "values": [4, 8]}})
    assert swept.status_code == 422  # its name waits already
    client.patch(f"projects/{project}", json={"settings": {"name": "third"}})
    swept = client.post("queue", json={"project": project, "sweep": {"field": "network_dim", "values": [4, 8, 4]}})
    assert len(swept.json()["queued"]) == 2
    entries = client.get("queue").json()["entries"]
    assert [entry["name"] for entry in entries] == ["second", "third-network_dim4", "third-network_dim8"]
    assert entries[1]["changed"] == {"network_dim": 4}
    assert client.post(f"queue/{entries[2]['id']}/move", json={"to": 0}).status_code == 200
    assert client.request("DELETE", f"queue/{second}", json={}).status_code == 200
    assert [entry["name"] for entry in client.get("queue").json()["entries"]] == [
        "third-network_dim8",
        "third-network_dim4",
    ]
    kept = json.loads((home / "queue.json").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in kept["entries"]] == ["third-network_dim8", "third-network_dim4"]
    worker.hold_at = 0
    until(lambda: not client.get("queue").json()["entries"] and not worker.busy)
    last = {run["name"] for run in client.get("runs").json()[:2]}  # two within a second have no order
    assert last == {"third-network_dim8", "third-network_dim4"}
    assert len(of(client, project).read()["runs"]) == 3


def test_a_paused_run_holds_the_queue(client: TestClient, worker: FakeWorker, project: str) -> None:
    worker.hold_at = 3
    run = client.post(f"projects/{project}/start", json={}).json()["run"]
    client.patch(f"projects/{project}", json={"settings": {"name": "second"}})
    client.post(f"projects/{project}/start", json={"queue": True})
    assert client.post(f"runs/{run}/stop", json={"when": "pause"}).status_code == 200
    until(lambda: not worker.busy)
    time.sleep(0.3)
    queue = client.get("queue").json()
    assert queue["held"] and queue["text"] and len(queue["entries"]) == 1
    worker.hold_at = 0
    assert client.post("queue/go", json={}).status_code == 200
    until(lambda: not client.get("queue").json()["entries"] and not worker.busy)


@pytest.mark.parametrize(
    ("sweep", "field"),
    [
        ({"field": "name", "values": ["a"]}, "name"),
        ({"field": "network_dim", "values": []}, "network_dim"),
        ({"field": "network_dim", "values": ["many"]}, "network_dim"),
        ({"field": "network_dim", "values": list(range(1, 40))}, "network_dim"),
        ({"field": "colour", "values": [1]}, "colour"),
    ],
)
def test_a_sweep_that_cannot_be(client: TestClient, project: str, sweep: dict[str, Any], field: str) -> None:
    refused = client.post("queue", json={"project": project, "sweep": sweep})
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert client.get("queue").json()["entries"] == []


def test_presets_are_listed_kept_shared_and_removed(client: TestClient, project: str) -> None:
    built_in = client.get("presets").json()
    assert len(built_in) == 3 * 3 * 6
    assert all(set(preset["reasons"]) == set(preset["values"]) for preset in built_in)
    made = client.post("presets", json={"name": "my own", "settings": {"network_dim": 64, "name": "x"}})
    assert made.status_code == 201
    assert made.json()["values"] == {"network_dim": 64}
    file = client.get(f"presets/{made.json()['id']}/file")
    assert "attachment" in file.headers["content-disposition"]
    assert client.post("settings/import", json={"text": file.text}).json()["values"] == {"network_dim": 64}
    client.patch(f"projects/{project}", json={"preset": made.json()["id"]})
    plan = client.get(f"projects/{project}/plan").json()
    assert (plan["preset"]["title"], plan["values"]["network_dim"]) == ("my own", 64)
    assert client.request("DELETE", f"presets/{made.json()['id']}", json={}).status_code == 200
    assert client.request("DELETE", "presets/character-sd1-6", json={}).status_code == 422
    assert client.get("presets/own-000000000000/file").status_code == 404
    assert client.post("presets", json={"name": "bad", "settings": {"network_dim": 0}}).status_code == 422


def test_configs_of_other_programs_and_loras(client: TestClient, home: Path) -> None:
    told = client.post(
        "settings/import", json={"text": 'network_dim = 24\nunet_lr = 1e-4\ntrain_data_dir = "/x"\n'}
    ).json()
    assert told["values"]["network_dim"] == 24
    assert "images" not in told["values"] and told["ignored"]
    own = client.post("settings/import", json={"text": '{"network_dim": 12, "epochs": 4}'}).json()
    assert own["values"] == {"network_dim": 12, "epochs": 4}
    for bad in ("", "what?", "{", '{"lora_trainer_preset": 1, "name": "x", "settings": {"epochs": "many"}}'):
        assert client.post("settings/import", json={"text": bad}).status_code == 422
    assert client.post("settings/import", json={"lora": "../../etc/passwd"}).status_code == 404
    assert to_kohya(from_flat({}))  # the other way is the command line's
