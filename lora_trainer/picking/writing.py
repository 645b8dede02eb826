"""Files that are there whole or not at all (D5)."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, force it to the disk, then put it in place: a crash leaves the old file or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def png(image: Image.Image) -> bytes:
    """``image`` as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
