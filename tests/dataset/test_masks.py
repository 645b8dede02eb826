"""Masks lie upon their images: the same crop, the same mirror, averaged to the latents' size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from lora_trainer.dataset.buckets import Placement, place, place_without_upscaling
from lora_trainer.dataset.encoding import prepare
from lora_trainer.dataset.masks import prepare_mask
from lora_trainer.settings import DataSettings

from .files import ORIENTATION

WIDE = place((192, 64), [(64, 64)])
TALL = place((64, 300), [(64, 128)])
SHRUNK = place((640, 960), [(64, 96)])


def marked(size: tuple[int, int], left: int, top: int, side: int) -> Image.Image:
    """A white square on black."""
    image = Image.new("L", size, 0)
    image.paste(255, (left, top, left + side, top + side))
    return image


@pytest.mark.parametrize(
    ("size", "placement", "mark"),
    [((192, 64), WIDE, (80, 16, 16)), ((64, 300), TALL, (8, 120, 24)), ((640, 960), SHRUNK, (400, 720, 80))],
)
def test_a_mark_lands_where_the_images_mark_lands(
    tmp_path: Path, size: tuple[int, int], placement: Placement, mark: tuple[int, int, int]
) -> None:
    image = marked(size, *mark)
    image.convert("RGB").save(tmp_path / "image.png")
    image.resize((size[0] // 2, size[1] // 2), Image.Resampling.BOX).save(tmp_path / "mask.png")
    pixels = prepare(tmp_path / "image.png", placement)[:1] / 2 + 0.5  # (1, H, W) in 0..1
    expected = interpolate(pixels[None], scale_factor=1 / 8, mode="area")[0]  # kohya's way to the latents' size
    found = prepare_mask(tmp_path / "mask.png", placement, opacity=False)
    assert found.shape == (1, placement.bucket[1] // 8, placement.bucket[0] // 8)
    assert found.dtype == torch.float32
    assert found.max() > 0.9
    assert (found - expected).abs().max() < 0.1  # the image is resized with a sharper filter
    assert torch.equal(found.gt(0.5), expected.gt(0.5))


def test_without_resizing_it_is_the_mean_of_the_pixels(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "mask.png")
    placement = place_without_upscaling((150, 100), DataSettings(resolution=512))
    assert placement is not None
    left, top, right, bottom = placement.crop
    red = torch.from_numpy(noise[top:bottom, left:right, 0] / 255).float()  # the red channel, as kohya
    expected = interpolate(red[None, None], scale_factor=1 / 8, mode="area")[0]
    assert torch.allclose(prepare_mask(tmp_path / "mask.png", placement, opacity=False), expected, atol=1e-5)


def test_transparency_is_a_mask_and_the_picture_stands_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 32, 64))
    image.paste((0, 0, 0, 128), (32, 0, 64, 32))
    image.save(tmp_path / "a.png")
    placement = place((64, 64), [(64, 64)])
    mask = prepare_mask(tmp_path / "a.png", placement, opacity=True)
    assert mask[0, :, :4].eq(1).all()
    assert mask[0, 4:, 4:].eq(0).all()
    assert torch.allclose(mask[0, :4, 4:], torch.tensor(128 / 255))
    pixels = prepare(tmp_path / "a.png", placement)
    assert pixels[:, :, :32].eq(-1).all()
    assert pixels[:, 32:, 32:].eq(1).all()


def test_a_turned_photo_has_its_transparency_turned_too(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = 6  # laid down counter-clockwise: its left is the upright picture's top
    image = Image.new("RGBA", (128, 64), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 64, 64))
    image.save(tmp_path / "a.png", exif=tags)
    mask = prepare_mask(tmp_path / "a.png", place((64, 128), [(64, 128)]), opacity=True)
    assert mask[0, :8].eq(1).all()
    assert mask[0, 8:].eq(0).all()


def test_where_a_mask_is_transparent_nothing_is_learnt(tmp_path: Path) -> None:
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (0, 0, 32, 64))
    image.save(tmp_path / "a.png")
    mask = prepare_mask(tmp_path / "a.png", place((64, 64), [(64, 64)]), opacity=False)
    assert mask[0, :, :4].eq(1).all()
    assert mask[0, :, 4:].eq(0).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "I;16"])
def test_masks_of_every_kind(tmp_path: Path, mode: str) -> None:
    image = marked((64, 64), 0, 0, 32)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    if mode == "I;16":
        Image.fromarray(np.asarray(image).astype(np.uint16) * 257).save(path)
    else:
        image.convert(mode).save(path)
    mask = prepare_mask(path, place((64, 64), [(64, 64)]), opacity=False)
    assert mask[0, :4, :4].gt(0.98).all()
    assert mask[0, 5:, 5:].lt(0.02).all()
