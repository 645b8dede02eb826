"""Colours mean what the file says they mean: profiles are applied, and nothing of them is applied twice."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from lora_trainer.dataset.colour import as_rgb, layers
from lora_trainer.dataset.pictures import open_layers, open_picture

from . import profiles
from .files import ORIENTATION, picture

# What a linear 128 of 255 is in sRGB, by the formula of IEC 61966-2-1.
HALF = round(255 * (1.055 * (128 / 255) ** (1 / 2.4) - 0.055))


def flat(mode: str, colour: object, **info: object) -> Image.Image:
    image = Image.new(mode, (8, 8), colour)  # type: ignore[arg-type]
    image.info.update(info)
    return image


def test_a_profile_of_colours_is_applied() -> None:
    seen = as_rgb(flat("RGB", (128, 128, 128), icc_profile=profiles.rgb(1.0)))
    assert seen.getpixel((3, 3)) == pytest.approx((HALF,) * 3, abs=1)


def test_primaries_count() -> None:
    swapped = profiles.rgb(2.2, (profiles.BLUE, profiles.GREEN, profiles.RED))
    assert as_rgb(flat("RGB", (255, 0, 0), icc_profile=swapped)).getpixel((3, 3)) == pytest.approx((0, 0, 255), abs=4)


@pytest.mark.parametrize(("mode", "colour"), [("L", 128), ("LA", (128, 255))])
def test_a_profile_of_greys_is_applied(mode: str, colour: object) -> None:
    seen = as_rgb(flat(mode, colour, icc_profile=profiles.grey(1.0)))
    assert seen.getpixel((3, 3)) == pytest.approx((HALF,) * 3, abs=1)


def test_16_bit_grey_has_a_profile_too() -> None:
    image = Image.fromarray(np.full((8, 8), 128 * 257, dtype=np.uint16))
    image.info["icc_profile"] = profiles.grey(1.0)
    assert as_rgb(image).getpixel((3, 3)) == pytest.approx((HALF,) * 3, abs=1)


def test_inks_are_told_by_their_profile() -> None:
    """L* 128/255 of the profile is sRGB grey 119 or so; without a profile such inks would be blue."""
    inks = flat("CMYK", (255, 255, 0, 0))
    assert as_rgb(inks).getpixel((3, 3)) == (0, 0, 255)
    inks.info["icc_profile"] = profiles.cmyk(128)
    red, green, blue = as_rgb(inks).getpixel((3, 3))
    assert max(red, green, blue) - min(red, green, blue) <= 3
    assert 100 < red < 140


def test_a_palette_has_a_profile_too() -> None:
    image = flat("P", 1, icc_profile=profiles.rgb(1.0))
    image.putpalette([0, 0, 0, 128, 128, 128])
    assert as_rgb(image).getpixel((3, 3)) == pytest.approx((HALF,) * 3, abs=1)


def test_transparency_is_no_colour() -> None:
    """The colour goes through the profile, the transparency and the background do not."""
    image = flat("RGBA", (128, 128, 128, 102), icc_profile=profiles.rgb(1.0))
    seen = layers(image)
    assert seen.mode == "RGBA"
    assert seen.getpixel((3, 3)) == pytest.approx((HALF, HALF, HALF, 102), abs=1)
    mixed = round(HALF * 0.4 + 128 * 0.6)
    assert as_rgb(image, "#808080").getpixel((3, 3)) == pytest.approx((mixed,) * 3, abs=1)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    "profile",
    [srgb, lambda: b"", lambda: b"no profile at all", lambda: profiles.rgb(1.0)[:200], lambda: profiles.grey(1.0)],
    ids=["sRGB", "empty", "garbage", "cut off", "of greys"],
)
def test_a_profile_that_says_nothing_changes_nothing(profile: Callable[[], bytes]) -> None:
    image = picture()
    image.info["icc_profile"] = profile()
    assert as_rgb(image).tobytes() == image.tobytes()


def test_nothing_is_applied_twice(tmp_path: Path) -> None:
    """Profile and rotation are gone from the picture, so that saving and opening it again shows the same."""
    tags = Image.Exif()
    tags[ORIENTATION] = 6
    picture(64, 48).save(tmp_path / "a.png", icc_profile=profiles.rgb(1.0), exif=tags)
    seen = open_layers(tmp_path / "a.png")
    seen.save(tmp_path / "b.png")
    assert seen.size == (48, 64)
    assert open_layers(tmp_path / "b.png").tobytes() == seen.tobytes()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_the_profile_of_a_file_counts(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    flat("RGB", (128, 128, 128)).save(path, icc_profile=profiles.rgb(1.0), quality=95)
    assert open_picture(path).getpixel((3, 3)) == pytest.approx((HALF,) * 3, abs=2)
    assert open_picture(path, managed=False).getpixel((3, 3)) == pytest.approx((128,) * 3, abs=2)


def test_the_image_itself_stays_as_it_is() -> None:
    image = flat("RGB", (1, 2, 3), icc_profile=b"x")
    as_rgb(image).putpixel((0, 0), (9, 9, 9))
    assert image.getpixel((0, 0)) == (1, 2, 3)
    assert image.info["icc_profile"] == b"x"


def test_what_was_loaded_from_memory(tmp_path: Path) -> None:
    buffer = BytesIO()
    flat("RGB", (128, 128, 128)).save(buffer, "PNG", icc_profile=profiles.rgb(1.0))
    with Image.open(buffer) as image:
        assert as_rgb(image).getpixel((3, 3)) == pytest.approx((HALF,) * 3, abs=1)
