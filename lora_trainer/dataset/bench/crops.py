"""Where a picture is cut: pure geometry on sizes, faces and the detail of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_trainer.dataset.buckets import Size

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels
DETAIL_SIDE = 256  # of the small copy that detail is looked for in
WHOLE_FACE = 4.0  # what a face that is not cut counts, where all detail of the picture together counts 1
FIRST = 1.5  # how often the length of its short side a picture has at least to be split


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of a picture: ``box`` of it, scaled to ``size`` if that makes it smaller, perhaps mirrored.

    ``label`` ends the file's name.
    """

    label: str
    box: Box
    size: Size
    mirrored: bool = False

    def taken_from(self, picture: Image.Image) -> Image.Image:
        """The part itself; it is never enlarged."""
        part = picture.crop(self.box)
        if self.size[0] < part.width or self.size[1] < part.height:
            part = part.resize(self.size, Image.Resampling.LANCZOS)
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.mirrored else part

    def changes(self, size: Size) -> bool:
        """Whether anything of a picture of ``size`` is cut, scaled or mirrored."""
        smaller = self.size[0] < size[0] or self.size[1] < size[1]
        return self.mirrored or smaller or self.box != (0, 0, *size)


def largest(size: Size, aspect: Size) -> Size:
    """The largest part of a picture of ``size`` that has the shape of ``aspect``."""
    width, height = size
    if width * aspect[1] > height * aspect[0]:
        return max(1, round(height * aspect[0] / aspect[1])), height
    return width, max(1, round(width * aspect[1] / aspect[0]))


def centre_box(size: Size, aspect: Size) -> Box:
    """The largest part of that shape, from the middle."""
    width, height = largest(size, aspect)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def focus_box(picture: Image.Image, aspect: Size, faces: Sequence[Box]) -> Box:
    """The largest part of that shape with as many whole faces and then as much detail as possible.

    Such a part can move along one side only. Every place on it is rated; of equal ones that nearest to the middle wins.
    """
    width, height = largest(picture.size, aspect)
    along = 0 if width < picture.width else 1  # the side that is cut
    room, extent = picture.size[along], (width, height)[along]
    profile = detail(picture).sum(axis=along, dtype=np.float64)  # along the side that is cut
    places = np.arange(room - extent + 1)
    summed = np.interp(np.arange(room + 1), np.linspace(0, room, len(profile) + 1), np.r_[0.0, np.cumsum(profile)])
    rating = (summed[places + extent] - summed[places]) / max(summed[-1], 1e-9)
    for face in faces:
        rating += WHOLE_FACE * _covered(places, extent, (face[along], face[along + 2]))
    best = np.flatnonzero(rating >= rating.max() - 1e-6)
    start = int(best[np.argmin(np.abs(best - (room - extent) / 2))])
    return (start, 0, start + width, height) if along == 0 else (0, start, width, start + height)


def detail(picture: Image.Image) -> npt.NDArray[np.float32]:
    """(h, w), how much happens at each place of a small copy: the energy of the grey values' gradient.

    Smoothed by the reduction itself; the weakest half counts nothing, so that noise on a plain ground does not.
    """
    small = picture.convert("L")
    small.thumbnail((DETAIL_SIDE, DETAIL_SIDE), Image.Resampling.BOX)
    grey = np.pad(np.asarray(small, dtype=np.float32) / 255, 1, mode="edge")
    across, down = grey[1:-1, 2:] - grey[1:-1, :-2], grey[2:, 1:-1] - grey[:-2, 1:-1]
    energy = np.hypot(across, down)
    return np.maximum(energy - np.median(energy), 0).astype(np.float32)


def _covered(places: npt.NDArray[np.int64], extent: int, face: tuple[int, int]) -> npt.NDArray[np.float64]:
    """How much of a face is within the part at each place; a whole one counts twice as much as most of one."""
    low, high = face
    inside = np.minimum(places + extent, high) - np.maximum(places, low)
    share = np.clip(inside / max(1, high - low), 0.0, 1.0)
    return np.where(share >= 1.0, 1.0, share / 2)


def split_boxes(size: Size, overlap: float = 0.2) -> list[Box]:
    """Squares along a long picture, evenly spread, each sharing at least ``overlap`` of its side with the next; none
    where the picture is not long."""
    side, length = min(size), max(size)
    if length < FIRST * side:
        return []
    count = math.ceil((length - side) / (side * (1 - overlap))) + 1
    starts = [round(index * (length - side) / (count - 1)) for index in range(count)]
    if size[0] >= size[1]:
        return [(start, 0, start + side, side) for start in starts]
    return [(0, start, side, start + side) for start in starts]


def face_box(size: Size, face: Box, margin: float) -> Box:
    """A square around a face with ``margin`` of the face's longer side on each side, moved into the picture."""
    left, top, right, bottom = face
    side = min(round(max(right - left, bottom - top) * (1 + 2 * margin)), *size)
    x = min(max(0, round((left + right - side) / 2)), size[0] - side)
    y = min(max(0, round((top + bottom - side) / 2)), size[1] - side)
    return x, y, x + side, y + side
