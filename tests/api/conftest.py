"""The routes need fastapi, which the newest stack has not: there these tests are passed over."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from lora_trainer.settings import Settings, from_flat

collect_ignore_glob = [] if find_spec("fastapi") else ["test_*.py"]


@pytest.fixture()
def settings() -> Settings:
    """Settings that the fake worker starts with."""
    return from_flat({"images": "/somewhere", "trigger": "mychr", "name": "my_character", "epochs": 4})


@pytest.fixture()
def home(tmp_path: Path) -> Path:
    """A host's folder, with a space and Chinese letters in its path."""
    folder = tmp_path / "我的 home"
    folder.mkdir()
    return folder
