"""Checkpoint files: a ``.safetensors``, memory-mapped, with the model's yaml beside it where there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open

from lora_trainer.checkpoint.family import check_file
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.errors import BadCheckpoint


def open_checkpoint(path: Path) -> Checkpoint:
    """The file's tensors, mapped from disk, and its config. Raises ``BadCheckpoint`` when it cannot be read."""
    check_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dictionary)
    except (SafetensorError, OSError) as error:
        raise BadCheckpoint("checkpoint_unreadable", field="checkpoint", name=path.name, reason=error) from error
    config = read_config(path.with_suffix(".yaml"))
    return Checkpoint(
        title=path.stem, tensors=tensors, config=config, text_config=text_config(config, path.parent), path=path
    )


def read_config(path: Path) -> dict[str, Any]:
    """The model config in an LDM yaml as plain dictionaries; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        config["model"]["params"]["unet_config"]["params"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise BadCheckpoint("checkpoint_yaml", field="checkpoint", name=path.name, reason=error) from error
    return dict(config)


def text_config(config: dict[str, Any], *folders: Path) -> dict[str, Any]:
    """The text encoder's own config where the model config names a local folder (relative to one of ``folders``),
    else empty."""
    stage = config.get("model", {}).get("params", {}).get("cond_stage_config", {})
    version = (stage.get("params") or {}).get("version")
    for folder in folders if version else ():
        file = folder / str(version) / "config.json"
        if file.is_file():
            return dict(json.loads(file.read_text(encoding="utf-8")))
    return {}
