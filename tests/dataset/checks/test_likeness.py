"""The same picture is known in another size, quality or part; others are not taken for it."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from lora_trainer.dataset.checks.facts import Pixels
from lora_trainer.dataset.checks.likeness import matches
from lora_trainer.dataset.checks.measuring import SMALL, colourfulness, sharpness
from tests.dataset.checks.sets import scene
from worlds.sprites.concepts import SETS

OTHERS = 12


def small(picture: Image.Image) -> Pixels:
    copy = picture.copy()
    copy.thumbnail((SMALL, SMALL), Image.Resampling.BOX)
    return np.array(copy)


def jpeg(picture: Image.Image) -> Image.Image:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=60)
    return Image.open(content).convert("RGB")


SAME: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": jpeg,
    "halved": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.06),
    "trimmed": lambda picture: picture.crop((12, 10, picture.width - 14, picture.height - 12)),
}
PARTS = ((100, 40, 500, 440), (0, 0, 320, 480), (210, 130, 530, 450), (40, 100, 640, 400))


@pytest.mark.parametrize("change", SAME)
def test_the_same_picture(change: str) -> None:
    pictures = [scene(seed, 640, 480) for seed in range(OTHERS)]
    found = matches([small(picture) for picture in [*pictures, SAME[change](pictures[3])]])
    assert [{one.part, one.whole} for one in found] == [{3, OTHERS}]
    assert not found[0].is_crop


@pytest.mark.parametrize("box", PARTS)
def test_a_part(box: tuple[int, int, int, int]) -> None:
    pictures = [scene(seed, 640, 480) for seed in range(OTHERS)]
    part = jpeg(pictures[5].crop(box).resize((box[2] - box[0] + 100, box[3] - box[1] + 100)))
    (found,) = matches([small(picture) for picture in [part, *pictures]])
    assert (found.part, found.whole, found.is_crop) == (0, 6, True)
    assert found.box.left * 640 == pytest.approx(box[0], abs=16)
    assert found.box.top * 480 == pytest.approx(box[1], abs=16)
    assert found.box.width * 640 == pytest.approx(box[2] - box[0], abs=24)


def test_different_pictures_and_plain_ones_match_nothing() -> None:
    pictures = [scene(seed) for seed in range(40)]
    plain = [Image.new("RGB", (300, 300), colour) for colour in ("white", "black", "red")]
    assert matches([small(picture) for picture in [*pictures, *plain]]) == []
    assert matches([]) == []


def test_drawings_of_one_figure_are_not_each_other() -> None:
    pictures = [small(Image.open(path)) for path in sorted((SETS / "ghost").glob("*.png"))]
    assert matches(pictures) == []


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    def of(picture: Image.Image) -> float | None:
        return sharpness(np.asarray(picture.convert("L"), dtype=np.float32))

    sharp = scene(1, 500, 500)
    blurs = [of(sharp.filter(ImageFilter.GaussianBlur(radius))) or 0 for radius in (0, 1, 2, 4)]
    assert blurs == sorted(blurs, reverse=True)
    assert blurs[0] > 0.5 and blurs[3] < 0.06
    pale = ImageEnhance.Contrast(sharp).enhance(0.5)
    assert (of(pale) or 0) > 0.5 * blurs[0]
    subject = sharp.filter(ImageFilter.GaussianBlur(6))
    subject.paste(sharp.crop((150, 150, 350, 350)), (150, 150))
    assert (of(subject) or 0) > 0.06
    assert of(Image.new("RGB", (100, 100), "red")) is None


def test_sepia_is_not_colourful() -> None:
    grey = np.asarray(scene(2).convert("L"))
    sepia = np.stack([grey, grey * 0.85, grey * 0.7], axis=-1).astype(np.uint8)
    assert colourfulness(sepia) < 18 < colourfulness(np.asarray(scene(2)))
