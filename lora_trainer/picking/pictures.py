"""Pictures as bytes: PNG files, and data URIs small enough for an HTML page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

LARGEST_KEPT = 2_500_000  # bytes of a file that is embedded as it is


def png(image: Image.Image) -> bytes:
    """``image`` as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def sheet_uri(path: Path, most_px: int = 4096) -> str:
    """A PNG as it is; a heavy one shrunk to ``most_px`` and as a JPEG."""
    if path.stat().st_size <= LARGEST_KEPT:
        return _uri("png", path.read_bytes())
    with Image.open(path) as file:
        picture = file.convert("RGB")
    picture.thumbnail((most_px, most_px), Image.Resampling.LANCZOS)
    return _jpeg(picture)


def thumbnail_uri(path: Path, side_px: int = 384) -> str:
    """A picture about ``side_px`` long: drawn pixels are enlarged evenly and stay a PNG, others shrink to a JPEG."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    factor = side_px // max(picture.size)
    if factor >= 1:
        size = picture.width * factor, picture.height * factor
        return _uri("png", png(picture.resize(size, Image.Resampling.NEAREST)))
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return _jpeg(picture)


def _jpeg(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=86, subsampling=0)
    return _uri("jpeg", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
