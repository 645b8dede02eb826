"""``docs/api.md``: its Python example goes from a folder of images to a chosen LoRA; its curl lines name routes."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from lora_trainer.api import PREFIX, add_routes
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.host.memory import MemoryHost
from lora_trainer.host.worker import Worker
from lora_trainer.ui.standalone import _listening
from tests.small_run import SMALL, maker
from tests.tiny import write_checkpoint

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CURL = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL))


def app_on(home: Path, checkpoint: Path) -> FastAPI:
    app = FastAPI()
    add_routes(app, Worker(MemoryHost(home, open_checkpoint(checkpoint))))
    return app


@pytest.fixture()
def address(home: Path, tmp_path: Path) -> Iterator[str]:
    """Our routes on a host in memory, with a tiny checkpoint."""
    app = app_on(home, write_checkpoint(tmp_path))
    with _listening(0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{PREFIX}/"
        server.should_exit = True
        thread.join(10)


def test_the_python_example(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = tmp_path / "images"
    maker(images, tmp_path, SMALL)()
    small = {name: value for name, value in SMALL.items() if name not in ("images", "checkpoint")}
    settings = {**small, "name": "my_character", "trigger": "mychr", "sample_steps": 1}
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
    changes: dict[str, Any] = {"BASE": address, "IMAGES": str(images), "SETTINGS": settings}
    text = EXAMPLE
    for name, value in changes.items():
        text, count = re.subn(
            rf"^{name} = .*$", lambda _, value=value, name=name: f"{name} = {value!r}", text, flags=re.M
        )
        assert count == 1
    exec(compile(text, "docs/api.md", "exec"), {"__name__": "example"})
    told = capsys.readouterr().out
    assert "epoch 1 is saved" in told and "epoch 2 is saved" in told
    assert "Finished" in told and "<lora:my_character-00000" in told, told


def test_the_curl_lines_name_real_routes(home: Path, tmp_path: Path) -> None:
    paths = app_on(home, write_checkpoint(tmp_path)).openapi()["paths"]
    known = [re.compile(re.sub(r"\{\w+\}", "[^/]+", path)) for path in paths]
    named = re.findall(r"\$BASE(/[\w/$]+)", CURL)
    named += re.findall(r"`(?:GET|POST|PUT|PATCH|DELETE) (?!tasks/ID`)/?([\w/]+)", PAGE)
    assert len(named) >= 25
    for path in named:
        assert any(one.fullmatch(f"{PREFIX}/{path.lstrip('/')}") for one in known), path


def test_every_area_is_described_and_has_an_example(home: Path, tmp_path: Path) -> None:
    paths = app_on(home, write_checkpoint(tmp_path)).openapi()["paths"]
    areas: dict[str, set[str]] = {}
    for path, methods in paths.items():
        for operation in methods.values():
            for tag in operation["tags"]:
                areas.setdefault(tag, set()).add(re.sub(r"\{\w+\}", "[^/]+", path))
    assert {match for match in re.findall(r"^\| `(\w+)` \|", PAGE, re.M)} == set(areas)
    named = [PREFIX + path for path in re.findall(r"\$BASE(/[\w/$]+)", CURL)]
    for tag, own in areas.items():
        assert any(re.fullmatch(one, path) for one in own for path in named), tag


def test_the_curl_bodies_are_known_to_the_schema(home: Path, tmp_path: Path) -> None:
    paths = app_on(home, write_checkpoint(tmp_path)).openapi()["paths"]
    lines = re.sub(r"\\\n\s*", " ", CURL).split("\n")
    found = [(line, match) for line in lines if (match := re.search(r"\$BASE(/[\w/$]+) +-d '(\{.*\})'", line))]
    assert len(found) >= 12
    for line, match in found:
        method = "patch" if "PATCH" in line else "post"
        body = json.loads(match[2].replace("'$ID'", "ID"))
        path = next(p for p in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", p), PREFIX + match[1]))
        schema = paths[path][method]["requestBody"]["content"]["application/json"]["schema"]
        assert set(body) <= set(schema.get("properties", {})), line
