"""One image file, read safely: upright, opaque, RGB, or a ``BadDataset`` with its name."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from lora_trainer.dataset.colour import as_rgb, has_transparency, layers
from lora_trainer.errors import BadDataset

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif")
# Read whatever the file's name says, but nothing that starts other programs (EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAYBE = "AVIF"  # newer versions of Pillow read it, older ones with a plug-in
# Pillow has such a limit too, but other extensions switch it off (and so does the WebUI's X/Y/Z plot).
MAX_PIXELS = 178_956_970
# What Pillow raises on damaged files (found by feeding it thousands of them).
DAMAGED = (OSError, EOFError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError)

ORIENTATION = 0x0112  # EXIF's tag
_Turn = Image.Transpose
UPRIGHT = {
    2: _Turn.FLIP_LEFT_RIGHT,
    3: _Turn.ROTATE_180,
    4: _Turn.FLIP_TOP_BOTTOM,
    5: _Turn.TRANSPOSE,
    6: _Turn.ROTATE_270,
    7: _Turn.TRANSVERSE,
    8: _Turn.ROTATE_90,
}
SIDEWAYS = (_Turn.TRANSPOSE, _Turn.ROTATE_270, _Turn.TRANSVERSE, _Turn.ROTATE_90)


def open_picture(path: Path, background: str = "white", *, managed: bool = True) -> Image.Image:
    """The picture as its maker saw it: upright by EXIF, transparency on ``background``, first frame, 8-bit sRGB.

    ``managed`` is off where the numbers are no colours (``colour.as_rgb``).
    """
    with _decoded(path) as image:
        return _upright(as_rgb(image, background, managed=managed), _turn(image))


def open_layers(path: Path) -> Image.Image:
    """The same with its transparency: ``"RGBA"`` where it has any, else ``"RGB"``."""
    with _decoded(path) as image:
        return _upright(layers(image), _turn(image))


def open_opacity(path: Path) -> Image.Image:
    """How opaque the picture is, upright, 8-bit grey: 255 where it is opaque, 0 where it is transparent."""
    with _decoded(path) as image:
        if has_transparency(image):
            return _upright(image.convert("RGBA").getchannel("A"), _turn(image))
        return _upright(Image.new("L", image.size, 255), _turn(image))


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of the upright picture. Decodes it all: a truncated file is to be found before training."""
    with _decoded(path) as image:
        width, height = image.size
        return (height, width) if _turn(image) in SIDEWAYS else (width, height)


def size_at_head(path: Path) -> tuple[int, int]:
    """The same from the file's head alone, many times as quick: whether the rest is whole stays open."""
    with _opened(path) as image:
        width, height = image.size
        return (height, width) if _turn(image, of_head=True) in SIDEWAYS else (width, height)


@dataclass(frozen=True, slots=True)
class Glance:
    """What a picture is like: its upright size, the share of it that is not opaque, and itself, made small."""

    size: tuple[int, int]
    clear: float
    picture: Image.Image


def glance(path: Path, side: int) -> Glance:
    """The picture as ``open_picture`` gives it, brought down to about ``side``² pixels, never up.

    Decodes it all, but a JPEG no finer than is needed: that is several times as quick.
    """
    with _opened(path) as image:
        width, height = image.size
        image.draft(None, (side, side))  # type: ignore[arg-type,unused-ignore]  # Pillow's stubs forget None
        turn, shrink = _turn(image), min(1.0, side / (width * height) ** 0.5)
        small = max(1, round(width * shrink)), max(1, round(height * shrink))
        clear = 0.0
        if has_transparency(image):
            clear = float(np.mean(np.asarray(image.convert("RGBA").getchannel("A")) < 255))
        picture = as_rgb(image).resize(small, Image.Resampling.BOX)
        size = (height, width) if turn in SIDEWAYS else (width, height)
        return Glance(size, clear, _upright(picture, turn))


@contextmanager
def _decoded(path: Path) -> Iterator[Image.Image]:
    """The loaded image as Pillow sees it; whatever goes wrong with it is a ``BadDataset``."""
    with _opened(path) as image:
        image.load()
        yield image


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The image of which only the head is read yet; whatever goes wrong with it is a ``BadDataset``."""
    try:
        with strict(), Image.open(path, formats=_formats()) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
            yield image
    except DAMAGED as error:
        raise BadDataset("image_unreadable", field="images", name=path.name, reason=str(error)) from error


@cache
def _formats() -> tuple[str, ...]:
    """The formats that this Pillow is to try; it breaks when asked for one that it does not know.

    Remembered, since looking for the plug-in takes longer than reading a picture's head.
    """
    with suppress(ImportError):
        import_module("pillow_avif")  # the plug-in that the WebUI brings; it makes itself known to Pillow
    Image.init()
    return (*FORMATS, MAYBE) if MAYBE in Image.OPEN else FORMATS


@contextmanager
def strict() -> Iterator[None]:
    """Let Pillow refuse truncated files: extensions such as the WD14 tagger make it fill them up with grey.

    The switch is one for all threads: who reads in several holds it around them all.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _turn(image: Image.Image, *, of_head: bool = False) -> Image.Transpose | None:
    """How to turn the image upright; damaged EXIF data is passed over, as image viewers do.

    Pillow decodes the whole of a PNG for them, as they may stand behind the pixels; ``of_head`` spares that.
    """
    try:
        exif = Image.Image.getexif(image) if of_head else image.getexif()
        return UPRIGHT.get(exif.get(ORIENTATION, 1))
    except (*DAMAGED, KeyError, IndexError, TypeError):
        return None


def _upright(picture: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    """The picture, turned where it has to be."""
    return picture if turn is None else picture.transpose(turn)
