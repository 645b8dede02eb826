"""Real image files for the tests, as users have them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from lora_trainer.errors import UserError
from lora_trainer.language import LANGUAGES

ORIENTATION = 0x0112


def picture(width: int = 40, height: int = 30) -> Image.Image:
    """Noise, so that a cut-off file lacks something; the top left quarter is red, the bottom right one blue."""
    noise = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    noise[: height // 2, : width // 2] = (255, 0, 0)
    noise[height // 2 :, width // 2 :] = (0, 0, 255)
    return Image.fromarray(noise)


def save(path: Path, width: int = 40, height: int = 30, caption: str | None = None) -> Path:
    """A picture file, with its caption beside it if one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(width, height).save(path)
    if caption is not None:
        path.with_suffix(".txt").write_text(caption, encoding="utf-8")
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    """The same file, broken off as by a full disk."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def bomb(path: Path, side: int) -> Path:
    """A tiny PNG that says it is ``side`` x ``side`` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return path


def says(error: UserError, *parts: str) -> bool:
    """Whether the message names these in every language."""
    return all(part in error.text(language) for part in parts for language in LANGUAGES)
