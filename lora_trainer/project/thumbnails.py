"""Small pictures of images: made when asked for, few at a time, kept on the disk under what they show."""

from __future__ import annotations

from pathlib import Path


class Thumbnails:
    """JPEGs of images, at most ``side`` pixels long, upright, on white."""

    def jpeg(self, image: Path, side: int, cache: Path) -> bytes:
        """Raises ``BadDataset`` where the image cannot be read."""
        raise NotImplementedError
