"""What of us hangs on the WebUI: its callbacks, its passwords, and our section among its settings."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from lora_trainer import api
from tests.webui.paper import Paper

pytest_plugins = ["tests.webui.paper"]


@pytest.fixture()
def app_module(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = importlib.import_module("lora_trainer.host.webui_app")
    monkeypatch.setattr(module, "NEEDED", ())
    monkeypatch.setattr(module, "LOOK_S", 1e6)
    module.register(lambda: SimpleNamespace(build=lambda **said: said), lambda: api)  # type: ignore[arg-type,return-value]
    return module


def started(paper: Paper, **flags: Any) -> TestClient:
    """Our routes in a WebUI with these flags, as with ``--nowebui``: there is no page."""
    vars(sys.modules["modules.shared"].cmd_opts).update(flags)
    app = FastAPI()
    paper.on_app_started(None, app)
    return TestClient(app, base_url="http://testserver/lora_trainer/v1/")


def test_the_routes_come_up_without_the_page(paper: Paper, app_module: Any) -> None:
    about = started(paper, nowebui=True).get("about").json()
    assert (about["host"], about["loras"], about["language"]) == ("webui", str(paper.loras), "")
    assert about["listening_without_password"] is False


def test_the_apis_password_is_kept(paper: Paper, app_module: Any) -> None:
    client = started(paper, api_auth="me:sécret,you:other", listen=True)
    for who in (None, ("me", "other"), ("nobody", ""), ("me", "")):
        assert client.get("about", auth=who).status_code == 401
    right = {"authorization": "Basic bWU6c8OpY3JldA=="}
    assert client.get("about", headers=right).json()["listening_without_password"] is False
    assert client.get("about", auth=("you", "other")).status_code == 200


@pytest.mark.parametrize(
    ("flags", "open_to_all"),
    [
        ({}, False),
        ({"listen": True}, True),
        ({"share": True}, True),
        ({"listen": True, "gradio_auth": "me:word"}, False),
        ({"listen": True, "gradio_auth": "me:word", "nowebui": True}, True),
    ],
)
def test_listening_without_a_password(paper: Paper, app_module: Any, flags: dict[str, Any], open_to_all: bool) -> None:
    assert started(paper, **flags).get("about").json()["listening_without_password"] is open_to_all


def test_the_page_built_anew_has_the_same_services(paper: Paper, app_module: Any) -> None:
    hooks = app_module.hooks(api.Hooks)
    assert hooks == app_module.hooks(api.Hooks)
    assert api.services_of(app_module.worker(), hooks) is api.services_of(app_module.worker(), hooks)


def test_our_section_of_the_settings(paper: Paper, app_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    added: dict[str, Any] = {}
    shared = sys.modules["modules.shared"]
    monkeypatch.setitem(sys.modules, "gradio", SimpleNamespace(Radio="radio"))
    shared.opts.add_option = added.__setitem__
    shared.OptionInfo = lambda default, label, **more: SimpleNamespace(default=default, label=label, **more)
    paper.on_ui_settings()
    assert all(info.section == ("lora_trainer", "LoRA Trainer") and info.label for info in added.values())
    restricted = {name for name, info in added.items() if info.restrict_api}
    assert restricted == {"lora_trainer_loras", "lora_trainer_runs", "lora_trainer_taggers"}
    others = {"language", "mirror", "preset", "tagger"}
    assert set(added) - restricted == {f"lora_trainer_{name}" for name in others}


def test_what_the_user_chose_there(paper: Paper, app_module: Any) -> None:
    options = importlib.import_module("lora_trainer.host.webui_options")
    home = paper.folder / "lora_trainer"
    assert (options.runs(), options.loras(), options.language()) == (home / "runs", paper.loras, "None")
    assert options.tagger_sources().folder == home / "taggers"
    chosen = sys.modules["modules.shared"].opts
    vars(chosen).update(lora_trainer_runs=" /elsewhere/runs ", lora_trainer_loras="mine", lora_trainer_language="中文")
    chosen.lora_trainer_mirror = "https://mirror.example"
    assert (options.runs(), options.loras()) == (Path("/elsewhere/runs"), paper.loras / "mine")
    assert options.language() == "zh"
    assert options.tagger_sources().endpoint == "https://mirror.example"


def test_what_new_projects_begin_with(paper: Paper, app_module: Any) -> None:
    client = started(paper)
    headers = {"content-type": "application/json"}

    def made() -> tuple[str, str]:
        project = client.post("projects", content="{}", headers=headers).json()
        return project["preset"], client.get(f"projects/{project['id']}/tagging").json()["tagger"]

    usual = made()
    assert usual[0] == "auto"
    saved = client.post("presets", json={"name": "mine", "settings": {"epochs": 3}}).json()
    chosen = vars(sys.modules["modules.shared"].opts)
    chosen.update(lora_trainer_preset="mine", lora_trainer_tagger="wd-vit-tagger-v3")
    assert made() == (saved["id"], "wd-vit-tagger-v3")
    chosen.update(lora_trainer_preset="style-sdxl-12", lora_trainer_tagger="")
    assert made() == ("style-sdxl-12", usual[1])
    chosen.update(lora_trainer_preset="gone", lora_trainer_tagger="gone")
    assert made() == usual


def test_a_page_does_not_wait_for_the_routes(paper: Paper, app_module: Any) -> None:
    app = FastAPI()
    paper.on_app_started("the page", app)
    for thread in [thread for thread in threading.enumerate() if thread.name == "lora_trainer routes"]:
        thread.join(30)
    assert TestClient(app).get("/lora_trainer/v1/about").json()["host"] == "webui"


def test_a_package_that_does_not_load_is_told(
    paper: Paper, app_module: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client, worker = started(paper), app_module.worker()
    assert client.get("about").json()["problem"] == ""
    monkeypatch.setitem(sys.modules, "lora_trainer.job", None)
    monkeypatch.delattr("lora_trainer.job", raising=False)
    worker.look()
    assert "does not load: ModuleNotFoundError" in client.get("about?lang=en").json()["problem"]
    assert client.get("about?lang=zh").json()["problem"].startswith("无法开始训练")
    answer = client.post("runs", json={})
    assert (answer.status_code, answer.json()["key"]) == (422, "engine_broken")
    monkeypatch.undo()
    worker.look()
    assert worker.problem is None


def test_the_start_loads_nothing_heavy() -> None:
    """What the WebUI's start imports of ours."""
    code = (
        "import sys, fastapi, torch; before = set(sys.modules); import lora_trainer.api, lora_trainer.host.worker;"
        "heavy = {'diffusers', 'peft', 'transformers', 'accelerate'} & (set(sys.modules) - before);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
