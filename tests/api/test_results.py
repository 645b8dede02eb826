"""The results as a page asks for them: cells, scores, choice, and what is done with the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from safetensors.torch import save_file

from lora_trainer.api import PREFIX, Hooks, add_routes
from lora_trainer.events import Validated
from lora_trainer.host.memory import MemoryHost
from lora_trainer.picking.choice import candidates, choose, write_choice
from lora_trainer.picking.files import EpochFile
from lora_trainer.picking.render import render
from tests.api.fake import FakeWorker
from tests.picking.grids import plan_of

FLAT = {"images": "/somewhere", "trigger": "mychr", "name": "hero", "epochs": 3, "unet_lr": 4e-4, "network_dim": 8}


@pytest.fixture()
def worker(home: Path) -> FakeWorker:
    made = FakeWorker(home)
    made.host = MemoryHost(home)  # type: ignore[assignment]
    return made


@pytest.fixture()
def client(worker: FakeWorker) -> TestClient:
    app = FastAPI()
    client = TestClient(app, base_url=f"http://testserver{PREFIX}/")
    client.services = add_routes(app, worker, Hooks())  # type: ignore[attr-defined]
    return client


@pytest.fixture()
def run(client: TestClient, worker: FakeWorker, home: Path) -> str:
    """A finished run with files, a grid of two prompts and a choice."""
    run_id = str(client.post("runs", json=FLAT).json()["id"])
    worker.wait()
    files = []
    for epoch in (1, 2, 3):
        path = home / "loras" / f"hero-{epoch:06d}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_file({"lora_unet_x.alpha": torch.ones(())}, path, metadata={"ss_base_model_version": "sdxl_base_v1-0"})
        files.append(EpochFile(epoch, path))
    folder = home / "runs" / run_id / "grid"
    list(render(plan_of(home, epochs=tuple(files)), worker.host, folder))  # type: ignore[arg-type]
    curve = [Validated(epoch=epoch, held_out=0.106 - 0.004 * epoch, train=0.1) for epoch in range(4)]
    write_choice(folder, choose(candidates((1, 2, 3), (0.5, 1.0), curve)))
    return run_id


def test_the_grid_cell_by_cell(client: TestClient, run: str) -> None:
    grid = client.get(f"runs/{run}/grid", params={"lang": "zh"}).json()
    assert (grid["epochs"], grid["weights"], len(grid["prompts"]), grid["seeds"]) == ([1, 2, 3], [0.5, 1.0], 2, [1])
    assert len(grid["cells"]) == grid["total"] == 2 * (1 + 3 * 2)
    assert [cell["n"] for cell in grid["cells"]] == list(range(14))
    assert {cell["epoch"] for cell in grid["cells"] if cell["weight"] is None} == {None}
    for cell in grid["cells"]:
        answer = client.get(cell["url"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert "immutable" in answer.headers["cache-control"]
    assert len({cell["url"] for cell in grid["cells"]}) == 14
    choice = grid["choice"]
    assert (choice["epoch"], choice["weight"], choice["call"]) == (3, 1.0, "<lora:hero-000003:1> mychr")
    assert choice["runner_up"]["epoch"] == 2 and all(choice["reasons"])
    assert len(grid["scores"]) == 6
    assert all(row["learnt"] is not None and row["held_out"] > 0 for row in grid["scores"])
    assert client.get(f"runs/{run}/cell/99").status_code == 404
    assert client.get(f"runs/{run}/cell/-1").status_code == 404


def test_before_there_is_a_grid(client: TestClient, worker: FakeWorker) -> None:
    run_id = client.post("runs", json=FLAT).json()["id"]
    worker.wait()
    grid = client.get(f"runs/{run_id}/grid").json()
    assert (grid["cells"], grid["choice"]) == ([], None)
    assert client.get(f"runs/{run_id}/cell/0").status_code == 404
    assert client.get("runs/nobody/grid").status_code == 404


def test_use_publishes_card_and_picture(client: TestClient, worker: FakeWorker, run: str) -> None:
    answer = client.post(f"runs/{run}/use", json={"epoch": 3, "weight": 1.0})
    assert answer.json() == {"call": "<lora:hero-000003:1> mychr"}
    client.post(f"runs/{run}/use", json={"epoch": 1, "weight": 0.5})
    host: Any = worker.host
    (chosen, card), (other, plain) = host.published
    assert (chosen.name, card.sd_version, card.preferred_weight) == ("hero-000003.safetensors", "SDXL", 1.0)
    assert card.notes and not plain.notes
    assert card.preview.is_file() and card.preview != plain.preview
    assert other.name == "hero-000001.safetensors"
    for bad in ({}, {"epoch": "3"}, {"epoch": 1, "weight": 99}):
        assert client.post(f"runs/{run}/use", json=bad).status_code == 422
    assert client.post(f"runs/{run}/use", json={"epoch": 9}).status_code == 404


def test_keep_and_restore(client: TestClient, run: str, home: Path) -> None:
    kept = client.post(f"runs/{run}/keep", json={"epochs": [3]}).json()
    assert kept["count"] == 2 and str(kept["count"]) in kept["text"]
    assert [path.name for path in (home / "loras").glob("*.safetensors")] == ["hero-000003.safetensors"]
    assert client.post(f"runs/{run}/use", json={"epoch": 1}).json()["key"] == "epoch_gone"
    back = client.post(f"runs/{run}/restore", json={"a": 1}).json()
    assert back["count"] == 2
    assert len(list((home / "loras").glob("*.safetensors"))) == 3
    assert client.post(f"runs/{run}/keep", json={"epochs": []}).status_code == 422
    assert client.post(f"runs/{run}/keep", json={"epochs": ["x"]}).status_code == 422


def test_nothing_is_moved_while_it_trains(client: TestClient, worker: FakeWorker) -> None:
    worker.hold_at = 2
    run_id = client.post("runs", json=FLAT).json()["id"]
    assert client.post(f"runs/{run_id}/keep", json={"epochs": [1]}).status_code == 409
    worker.hold_at = 0
    worker.wait()


def test_train_further_makes_a_project_of_the_same_settings(client: TestClient, run: str, home: Path) -> None:
    made = client.post(f"runs/{run}/further", json={"epoch": 2})
    assert made.status_code == 201
    project = client.services.projects.find(made.json()["id"]).read()  # type: ignore[attr-defined]
    settings = project["settings"]
    assert Path(settings["network_weights"]).name == "hero-000002.safetensors"
    assert (settings["unet_lr"], settings["network_dim"], settings["dim_from_weights"]) == (2e-4, 8, True)
    assert settings["trigger"] == "mychr" and settings["batch_size"] == 1
    assert (project["images"], project["in_place"]) == ("/somewhere", True)
    assert "name" not in settings
    assert json.dumps(project)


def test_a_set_of_two_projects_is_told_so(client: TestClient, run: str, home: Path) -> None:
    assert client.get(f"projects/{client.post('projects', json={}).json()['id']}").json()["note"] == ""
    first, second = (client.post(f"runs/{run}/further", json={"epoch": epoch}).json()["id"] for epoch in (1, 2))
    name = client.get(f"projects/{first}").json()["name"]
    assert name in client.get(f"projects/{second}?lang=en").json()["note"]
