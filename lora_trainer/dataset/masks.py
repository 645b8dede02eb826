"""Where an image is learnt: masks in a folder, or the image's own transparency, brought to the size of its latents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lora_trainer.dataset.buckets import STRIDE, Placement, Size
from lora_trainer.dataset.pictures import SUFFIXES, open_opacity, open_picture, size_of
from lora_trainer.errors import BadDataset

TOLERANCE = 0.01  # by how much a mask's aspect ratio may differ from its image's


def masks_among(entries: Sequence[Path]) -> dict[str, Path]:
    """The mask files among ``entries`` by the stem of the image that each belongs to. Raises ``BadDataset``."""
    found: dict[str, Path] = {}
    for entry in entries:
        if entry.suffix.lower() not in SUFFIXES or not entry.is_file():
            continue
        if entry.stem in found:
            raise BadDataset("mask_twice", field="mask_dir", first=found[entry.stem].name, second=entry.name)
        found[entry.stem] = entry
    return found


def check_mask(mask: Path, size: Size) -> None:
    """Raises ``BadDataset`` for a mask that cannot be read, or whose shape is not that of its image of ``size``."""
    width, height = size_of(mask)
    if abs(width * size[1] - height * size[0]) > max(TOLERANCE * height * size[0], size[0], size[1]):
        raise BadDataset(
            "mask_misfit", field="mask_dir", name=mask.name, size=f"{width} × {height}", image=f"{size[0]} × {size[1]}"
        )


def prepare_mask(mask: Path, placement: Placement, *, opacity: bool) -> torch.Tensor:
    """(1, h, w) in 0..1, 1 where is learnt: of the picture's red channel as kohya takes it, or of its ``opacity``.

    Resized and cropped as the image is, then averaged over the pixels of each latent. Where the picture of a mask is
    transparent, nothing is learnt.
    """
    picture = open_opacity(mask) if opacity else open_picture(mask, background="black", managed=False).getchannel("R")
    size = placement.bucket[0] // STRIDE, placement.bucket[1] // STRIDE
    box = placement.source_box(picture.size)
    small = picture.convert("F").resize(size, Image.Resampling.BOX, box=box)
    shares: torch.Tensor = torch.from_numpy(np.array(small, dtype=np.float32))  # (h, w) in 0..255
    return shares.div(255).clamp(0, 1)[None]
