"""What tests of whole runs share: settings of a run of seconds, and five pictures to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from lora_trainer.settings import Settings, from_flat

SMALL: dict[str, Any] = {
    "trigger": "mychr",
    "name": "my_lora",
    "resolution": 64,
    "min_bucket_reso": 64,
    "max_bucket_reso": 64,
    "epochs": 2,
    "repeats": 1,
    "batch_size": 2,
    "network_dim": 2,
    "unet_lr": 1e-3,
    "validation_split": 0.2,
    "device": "cpu",
}

Make = Callable[..., Settings]


def maker(folder: Path, checkpoint: Path, base: Mapping[str, Any], caption: str = "{}") -> Make:
    """Settings over ``base`` for pictures drawn into ``folder``, each captioned with its colour in ``caption``."""
    folder.mkdir()
    for number, colour in enumerate(["red", "green", "blue", "white", "black"]):
        Image.new("RGB", (64, 64), colour).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(caption.format(colour), encoding="utf-8")
    return lambda **changes: from_flat({**base, "images": str(folder), "checkpoint": str(checkpoint), **changes})
