"""How much room on the disk a run needs: LoRA files, the state to go on from, the cache, pictures."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.forecast.memory import adapter_weights, optimizer_bytes
from lora_trainer.forecast.model import STRIDE, Model
from lora_trainer.settings import Settings

BYTES = {"fp16": 2, "bf16": 2, "fp32": 4}
HEADER = 150_000  # a file's names and metadata
LATENT = 2 * 4 * 4  # bytes of a latent pixel: mean and deviation, four channels, fp32
TOKENS = 77
WIDTH = {"SD1": 768, "SD2": 1024, "SDXL": 2048}
PNG = 1.5  # bytes of a picture's pixel, about


@dataclass(frozen=True)
class Size:
    """Images that are encoded, captions that are embedded, files that are kept, pictures that are drawn."""

    images: int
    captions: int
    files: int
    pictures: int


def file_size(model: Model, settings: Settings) -> int:
    """Bytes of one LoRA file."""
    weights = adapter_weights(model, settings.network, settings.optimizer)
    return weights * BYTES[settings.output.save_precision] + HEADER


def needed(model: Model, settings: Settings, size: Size) -> int:
    """Bytes of everything that a run leaves behind. The cache is shared: it may be there already."""
    weights = adapter_weights(model, settings.network, settings.optimizer)
    state = weights * (4 + optimizer_bytes(settings.optimizer.optimizer_type)) if settings.training.save_state else 0
    pixels = settings.data.resolution**2
    latents = size.images * (1 + settings.data.flip_aug) * pixels // STRIDE**2 * LATENT
    texts = size.captions * TOKENS * WIDTH[model.family] * 4
    pictures = round(size.pictures * pixels * PNG)
    return size.files * file_size(model, settings) + state + latents + texts + pictures


def free(folder: Path) -> int:
    """Bytes that are free where ``folder`` is, or will be."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    return shutil.disk_usage(there).free
