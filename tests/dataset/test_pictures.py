"""Pictures are upright, opaque and RGB whatever the file is; what cannot be read is named."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, features

from lora_trainer.dataset.pictures import SUFFIXES, open_opacity, open_picture, size_of
from lora_trainer.errors import BadDataset

from .files import ORIENTATION, bomb, cut, picture, save, says

# What a file says about how its picture lies, and how a picture is laid down that way.
T = Image.Transpose
LAID_DOWN = {
    1: None,
    2: T.FLIP_LEFT_RIGHT,
    3: T.ROTATE_180,
    4: T.FLIP_TOP_BOTTOM,
    5: T.TRANSPOSE,
    6: T.ROTATE_90,
    7: T.TRANSVERSE,
    8: T.ROTATE_270,
}


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


@pytest.mark.parametrize("orientation", LAID_DOWN)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright, turn = picture(64, 48), LAID_DOWN[orientation]
    laid = upright if turn is None else upright.transpose(turn)
    path = tmp_path / f"turned.{suffix}"
    laid.save(path, exif=exif(orientation), quality=100, subsampling=0, lossless=True)

    seen = open_picture(path)
    assert seen.size == size_of(path) == (64, 48)
    difference = np.abs(np.asarray(seen, dtype=int) - np.asarray(upright, dtype=int))
    assert difference.max() <= (8 if suffix == "jpg" else 0)


def test_damaged_exif_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "camera.jpg"
    picture().save(path, exif=b"Exif\0\0this is no tiff header")
    assert size_of(path) == open_picture(path).size == (40, 30)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_becomes_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    image.putpixel((7, 7), (0, 0, 0, 128))
    image.convert(mode).save(tmp_path / "a.png")

    seen = open_picture(tmp_path / "a.png")
    assert seen.mode == "RGB"
    assert seen.getpixel((1, 1)) == (0, 0, 0)
    assert seen.getpixel((6, 1)) == (255, 255, 255)
    assert seen.getpixel((7, 7)) == pytest.approx((127, 127, 127), abs=1)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_transparent_colour_of_a_palette_becomes_white(tmp_path: Path, suffix: str) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(0, (0, 0, 4, 8))
    path = tmp_path / "palette.webp"  # the name says something else
    image.save(path, suffix.upper(), transparency=0)

    seen = open_picture(path)
    assert seen.getpixel((1, 1)) == (255, 255, 255)
    assert seen.getpixel((6, 1)) == (200, 0, 0)


def test_transparent_colour_of_rgb_becomes_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (9, 9, 9))
    image.putpixel((0, 0), (200, 0, 0))
    image.save(tmp_path / "key.png", transparency=(9, 9, 9))
    seen = open_picture(tmp_path / "key.png")
    assert (seen.getpixel((0, 0)), seen.getpixel((2, 2))) == ((200, 0, 0), (255, 255, 255))


def test_16_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    seen = np.asarray(open_picture(tmp_path / "deep.png"))
    assert seen.shape == (16, 16, 3)
    assert np.array_equal(seen[..., 0].ravel(), np.arange(256))


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", "jpg"), ("L", "jpg"), ("P", "png"), ("1", "png"), ("L", "webp")])
def test_other_kinds_become_rgb(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"kind.{suffix}"
    Image.new("RGB", (16, 16), "white").convert(mode).save(path)
    seen = open_picture(path)
    assert seen.mode == "RGB"
    assert seen.getpixel((8, 8)) == pytest.approx((255, 255, 255), abs=3)


@pytest.mark.parametrize("suffix", ["webp", "gif", "png"])
def test_of_an_animation_the_first_frame_counts(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "moving.png", suffix.upper(), save_all=True, append_images=frames[1:])
    seen = open_picture(tmp_path / "moving.png")
    assert seen.getpixel((4, 4)) == pytest.approx((255, 0, 0), abs=8)


@pytest.mark.parametrize("orientation", LAID_DOWN)
def test_opacity_lies_as_the_picture_does(tmp_path: Path, orientation: int) -> None:
    upright = picture(64, 48).convert("RGBA")
    upright.putalpha(Image.linear_gradient("L").resize((64, 48)))
    turn = LAID_DOWN[orientation]
    laid = upright if turn is None else upright.transpose(turn)
    laid.save(tmp_path / "a.png", exif=exif(orientation))
    seen = open_opacity(tmp_path / "a.png")
    assert seen.mode == "L"
    assert np.array_equal(np.asarray(seen), np.asarray(upright.getchannel("A")))


def test_opacity_of_every_kind(tmp_path: Path) -> None:
    save(tmp_path / "opaque.jpg", 8, 8)
    Image.fromarray(np.zeros((8, 8), dtype=np.uint16)).save(tmp_path / "deep.png")
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([10, 20, 30, 200, 0, 0])
    palette.paste(0, (0, 0, 4, 8))
    palette.save(tmp_path / "palette.png", transparency=0)
    assert np.asarray(open_opacity(tmp_path / "opaque.jpg")).min() == 255
    assert np.asarray(open_opacity(tmp_path / "deep.png")).min() == 255
    half = np.asarray(open_opacity(tmp_path / "palette.png"))
    assert (half[:, :4].max(), half[:, 4:].min()) == (0, 255)


def test_another_background(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 255, 255, 0)).save(tmp_path / "a.png")
    assert open_picture(tmp_path / "a.png", background="black").getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_that_counts_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.init()
    if Image.registered_extensions().get(suffix) not in Image.SAVE or (suffix == ".avif" and not avif()):
        pytest.skip("this Pillow cannot write it")
    Image.new("RGB", (24, 16), (200, 30, 60)).save(path, quality=95)
    assert size_of(path) == (24, 16)
    assert open_picture(path).getpixel((12, 8)) == pytest.approx((200, 30, 60), abs=6)


def avif() -> bool:
    """Whether this Pillow was built with AVIF."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # older versions do not know the question
        return bool(features.check("avif"))


def test_the_file_is_not_kept_open(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    seen = open_picture(path)
    path.unlink()
    assert seen.resize((4, 4)).size == (4, 4)


def text_file(path: Path) -> None:
    path.write_text("this is not an image", encoding="utf-8")


def zero_bytes(path: Path) -> None:
    path.write_bytes(b"")


def cut_jpeg(path: Path) -> None:
    picture(200, 200).save(path, "JPEG")
    cut(path, 0.7)


def cut_png(path: Path) -> None:
    picture(200, 200).save(path, "PNG")
    cut(path, 0.7)


def cut_webp(path: Path) -> None:
    picture(200, 200).save(path, "WEBP")
    cut(path, 0.7)


def flipped_bytes(path: Path) -> None:
    picture(200, 200).save(path, "PNG")
    content = bytearray(path.read_bytes())
    content[5000:5020] = b"\0" * 20
    path.write_bytes(content)


def huge(path: Path) -> None:
    bomb(path, 20_000)


def tiff(path: Path) -> None:
    picture().save(path, "TIFF")


BROKEN = [text_file, zero_bytes, cut_jpeg, cut_png, cut_webp, flipped_bytes, huge, tiff, lambda path: None]


@pytest.mark.parametrize("break_it", BROKEN)
@pytest.mark.parametrize("read", [open_picture, size_of])
def test_what_cannot_be_read_is_named(
    tmp_path: Path, break_it: Callable[[Path], None], read: Callable[[Path], object]
) -> None:
    path = tmp_path / "我的 图片.png"
    break_it(path)
    with pytest.raises(BadDataset) as caught:
        read(path)
    assert caught.value.key == "image_unreadable"
    assert says(caught.value, "我的 图片.png")


@pytest.mark.parametrize("break_it", [cut_jpeg, cut_png])
def test_truncation_is_found_when_an_extension_made_pillow_lenient(
    tmp_path: Path, break_it: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    break_it(tmp_path / "a.png")
    with pytest.raises(BadDataset):
        size_of(tmp_path / "a.png")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True  # given back


def test_size_is_limited_when_the_host_switched_pillows_limit_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(BadDataset) as caught:
        size_of(bomb(tmp_path / "a.png", 20_000))
    assert says(caught.value, "20000 x 20000")
