"""Text in pictures: a font that comes with a dependency, one for Chinese where the system has it, lines that fit."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

from PIL import ImageFont

Font: TypeAlias = "ImageFont.FreeTypeFont | ImageFont.ImageFont"

CJK_START = "\u2e80"  # from here on Unicode is Chinese, Japanese and Korean, which DejaVu lacks
CJK_FONTS = (  # Windows, macOS, Linux; Pillow looks for them in the system's folders
    ("msyh.ttc", "msyhbd.ttc"),
    ("PingFang.ttc", "PingFang.ttc"),
    ("Hiragino Sans GB.ttc", "Hiragino Sans GB.ttc"),
    ("NotoSansCJK-Regular.ttc", "NotoSansCJK-Bold.ttc"),
    ("wqy-microhei.ttc", "wqy-microhei.ttc"),
)


def font(size: int, text: str = "", bold: bool = False) -> Font:
    """A font that can draw ``text``: matplotlib's DejaVu Sans, the system's Chinese font, at worst Pillow's own."""
    cjk = any(mark >= CJK_START for mark in text)
    for file in (*_cjk_files(bold), *_latin_files(bold)) if cjk else _latin_files(bold):
        if found := _open(file, size):
            return found
    return ImageFont.load_default()


def _cjk_files(bold: bool) -> Iterator[str]:
    yield from (heavy if bold else regular for regular, heavy in CJK_FONTS)


def _latin_files(bold: bool) -> Iterator[str]:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    package = importlib.util.find_spec("matplotlib")  # found, not imported: that takes a third of a second
    if package is not None and package.origin is not None:
        yield str(Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / name)
    yield name


@cache
def _open(file: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(file, size)
    except OSError:
        return None


def drawable(text: str, font: Font) -> str:
    """``text`` as ``font`` can draw it; Pillow's own bitmap font knows Latin letters only and fails on others."""
    if isinstance(font, ImageFont.FreeTypeFont):
        return text
    return text.encode("latin-1", "replace").decode("latin-1")


def width(text: str, font: Font) -> float:
    """How wide ``text`` is in pixels."""
    return float(font.getlength(drawable(text, font)))


def wrap(text: str, font: Font, room: float, most: int) -> list[str]:
    """``text`` in at most ``most`` lines no wider than ``room``; what does not fit gives way to an ellipsis."""
    lines = [""]
    for piece in _pieces(text, font, room):
        if lines[-1] and width((lines[-1] + piece).rstrip(), font) > room:
            lines.append("")
        lines[-1] += piece
    lines = [line.rstrip() for line in lines]
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and width(last + "…", font) > room:
        last = last[:-1]
    return [*lines[: most - 1], last.rstrip(" ,") + "…"]


def _pieces(text: str, font: Font, room: float) -> Iterator[str]:
    """What a line may end after: words, and single characters of Chinese or of a word that is longer than a line."""
    for word in text.split():
        whole = width(word, font) <= room and not any(mark >= CJK_START for mark in word)
        yield from [word] if whole else word
        yield " "


def first_fitting(texts: Sequence[str], font: Font, room: float) -> str:
    """The first of ``texts``, which get shorter, that is no wider than ``room``; the last when none is."""
    return next((text for text in texts if width(text, font) <= room), texts[-1])
