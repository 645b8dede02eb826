"""Checkpoint files: a ``.safetensors``, memory-mapped, with the model's yaml beside it where there is one."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open

from lora_trainer.checkpoint.architecture import encoder_params
from lora_trainer.checkpoint.family import check_file
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.errors import BadCheckpoint

MARKS = ("v_pred", "ztsnr")  # tensors that say how a model was trained; the WebUI does not load them


def open_checkpoint(path: Path) -> Checkpoint:
    """The file's tensors, mapped from disk, and its config. Raises ``BadCheckpoint`` when it cannot be read."""
    check_file(path)
    tensors, metadata = _read(path)
    config = read_config(path.with_suffix(".yaml"))
    return Checkpoint(
        title=path.stem,
        tensors=tensors,
        config=config,
        text_config=text_config(config, path.parent),
        metadata=metadata,
        path=path,
    )


def read_marks(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """What a checkpoint file says of itself: mark tensors and metadata; nothing where it is no ``.safetensors`` or
    cannot be read."""
    if path.suffix.lower() != ".safetensors":
        return {}, {}
    try:
        return _read(path, MARKS)
    except BadCheckpoint:
        return {}, {}


def _read(path: Path, only: Collection[str] = ()) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if not only or name in only]  # noqa: SIM118  (not a dictionary)
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise BadCheckpoint("checkpoint_unreadable", field="checkpoint", name=path.name, reason=error) from error


def read_config(path: Path) -> dict[str, Any]:
    """The model config in an LDM or SGM yaml as plain dictionaries; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        params = config["model"]["params"]
        params["network_config" if "network_config" in params else "unet_config"]["params"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise BadCheckpoint("checkpoint_yaml", field="checkpoint", name=path.name, reason=error) from error
    return dict(config)


def text_config(config: dict[str, Any], *folders: Path) -> dict[str, Any]:
    """The first text encoder's own config where the model config names a local folder (relative to one of
    ``folders``), else empty."""
    version = encoder_params(config)[0].get("version")
    for folder in folders if version else ():
        file = folder / str(version) / "config.json"
        if file.is_file():
            return dict(json.loads(file.read_text(encoding="utf-8")))
    return {}
