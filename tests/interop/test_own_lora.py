"""A LoRA of ours holds all settings of its run, without places, and gives them back."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from lora_trainer.adapter.kohya import tag_metadata
from lora_trainer.interop import import_file
from lora_trainer.interop.listing import to_commented_toml
from lora_trainer.presets.own import PATHS, SETTINGS_KEY, shareable
from lora_trainer.settings import from_flat, to_flat

SETTINGS = from_flat(
    {
        "images": "/home/me/secret",
        "trigger": "mychr",
        "name": "old",
        "network_type": "LoHa",
        "network_args": ("factor=8",),
        "grid_weights": (0.5, 1.0),
        "save_state": False,
        "lr_warmup": 0.0,
        "checkpoint": "/home/me/base.safetensors",
    }
)


def lora(folder: Path, kept: str) -> Path:
    path = folder / "old-000003.safetensors"
    metadata = {**tag_metadata({"ss_network_dim": 4, "ss_output_name": "old-000003"}), SETTINGS_KEY: kept}
    save_file({"lora_unet_x.alpha": torch.ones(())}, path, metadata=metadata)
    return path


def test_all_settings_come_back(tmp_path: Path) -> None:
    kept = tag_metadata({SETTINGS_KEY: shareable(SETTINGS)})[SETTINGS_KEY]
    assert "/home/me" not in kept
    found = import_file(lora(tmp_path, kept))
    assert found.kind == "own"
    wanted = {name: value for name, value in to_flat(SETTINGS).items() if name not in PATHS}
    assert {name: to_flat(found.settings())[name] for name in wanted} == wanted
    assert "LoHa" in to_commented_toml(found, "old.safetensors")


def test_what_this_version_does_not_know_is_told(tmp_path: Path) -> None:
    found = import_file(lora(tmp_path, json.dumps({"epochs": 7, "colour": "blue", "network_dim": "many"})))
    assert found.values == {"epochs": 7}
    assert {note.key for note in found.ignored} == {"colour", "network_dim"}


def test_without_them_kohyas_keys_count(tmp_path: Path) -> None:
    for broken in ("", "{", "[]", "7"):
        found = import_file(lora(tmp_path, broken))
        assert (found.kind, found.values["network_dim"]) == ("lora", 4)
        assert not [note for note in found.ignored if note.reason == "unknown"]
