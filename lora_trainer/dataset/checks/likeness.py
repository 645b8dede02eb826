"""Which pictures show the same: one in another size or quality, or a part of it.

Every picture is looked for in every other one, as a whole and in ever smaller parts, on 8 × 8 cells of grey whose mean
and contrast are taken out (normalised cross-correlation; Lewis, Vision Interface 1995). It is one matrix product for a
picture. The few pairs that agree are then laid upon each other in colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_trainer.dataset.checks.facts import Pixels

CELLS = 8
STEPS = (8, 9, 10, 11, 12, 13, 14, 16, 18, 20)  # cells along a side: a part of 8 of them is 8/9, 8/10 … of the picture
PLAIN = 5.0  # grey levels: what varies less agrees with anything
AGREES = 0.8  # correlation of cells from which on it is worth a closer look
CANDIDATES = 4  # closer looks for a picture
SHAPE = 0.12  # pictures whose aspect ratios differ by less, as a logarithm, are looked for together
FINE = 16  # cells of the closer look
SAME_MEAN, SAME_MOST = 6.0, 28.0  # levels by which the colours of the same picture differ: on average, in 1 cell of 50
HOPELESS = 30.0  # mean difference of a first try that no better place mends
TONE = 24.0  # levels by which the whole picture may be brighter or more tinted
WHOLE = 0.75  # a part with this much of the other's area is no crop but the same picture

Floats = npt.NDArray[np.float32]
FEW, MOSTLY = 6, 0.8  # a picture is flat when so few colours fill so much of it


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, in shares of its sides."""

    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Match:
    """Picture number ``part`` shows what ``box`` of picture number ``whole`` shows."""

    part: int
    whole: int
    box: Box

    @property
    def is_crop(self) -> bool:
        """Whether so much is cut away that it is not simply the same picture."""
        return self.box.area < WHOLE


def matches(pictures: Sequence[Pixels]) -> list[Match]:
    """All pairs that show the same. ``pictures`` are small, (h, w, 3), each at its own aspect ratio."""
    images = [Image.fromarray(pixels) for pixels in pictures]
    flat = [_flat(pixels) for pixels in pictures]
    found: dict[tuple[int, int], Match] = {}
    for part, whole, start in _candidates([image.convert("L") for image in images]):
        if (whole, part) in found or (start.area < WHOLE and flat[part]):
            continue
        box = _laid(images[part], images[whole], start)
        if box is not None and not (box.area < WHOLE and flat[part]):
            found[part, whole] = Match(part, whole, box)
    return list(found.values())


def _flat(pixels: Pixels) -> bool:
    """Whether it is a drawing in few plain colours, of which large and small figures look like crops and are none."""
    coarse = (pixels >> 3).astype(np.int32)
    _, counts = np.unique(coarse[..., 0] << 10 | coarse[..., 1] << 5 | coarse[..., 2], return_counts=True)
    return bool(np.sort(counts)[-FEW:].sum() > MOSTLY * counts.sum())


def _candidates(greys: Sequence[Image.Image]) -> list[tuple[int, int, Box]]:
    """Part, whole and place for the best agreeing pairs of each part."""
    found: dict[int, list[tuple[float, int, Box]]] = {}
    for shape, members in _by_shape(greys).items():
        prints, plain = _normalised(np.stack([_cells(greys[i], (CELLS, CELLS)).ravel() for i in members]))
        prints[plain] = 0  # agrees with nothing
        for whole, grey in enumerate(greys):
            for part, score, box in _agreeing(prints, grey, math.exp(shape * SHAPE)):
                _keep_best(found.setdefault(members[part], []), (score, whole, box))
    best = ((part, one[1], one[2]) for part, kept in sorted(found.items()) for one in kept)
    return [(part, whole, box) for part, whole, box in best if part != whole]


def _keep_best(kept: list[tuple[float, int, Box]], candidate: tuple[float, int, Box]) -> None:
    """Add the candidate and keep those with the highest scores; every picture's best is itself."""
    kept.append(candidate)
    kept.sort(key=lambda one: -one[0])
    del kept[CANDIDATES + 1 :]


def _by_shape(greys: Sequence[Image.Image]) -> dict[int, list[int]]:
    """The numbers of the pictures with about the same aspect ratio."""
    shapes: dict[int, list[int]] = {}
    for number, grey in enumerate(greys):
        shapes.setdefault(round(math.log(grey.width / grey.height) / SHAPE), []).append(number)
    return shapes


def _agreeing(prints: Floats, whole: Image.Image, shape: float) -> Iterator[tuple[int, float, Box]]:
    """The prints (n, 64) that agree with some part of this aspect ratio of ``whole``, how well, and where."""
    parts, boxes = _parts(whole, shape)
    if not boxes:
        return
    windows, plain = _normalised(parts)
    scores = prints @ windows.T  # (n, parts)
    scores[:, plain] = 0
    where = scores.argmax(axis=1)
    top = scores[np.arange(len(prints)), where]
    for part in np.flatnonzero(top > AGREES):
        yield int(part), float(top[part]), boxes[where[part]]


def _parts(whole: Image.Image, shape: float) -> tuple[Floats, list[Box]]:
    """All parts of the aspect ratio ``shape`` as cells (parts, 64), and where they are."""
    stretch = shape / (whole.width / whole.height)
    found, boxes = [], []
    for step in STEPS:
        across, down = (step, round(step * stretch)) if stretch >= 1 else (round(step / stretch), step)
        if max(across, down) > 3 * STEPS[-1]:
            continue
        cells = np.lib.stride_tricks.sliding_window_view(_cells(whole, (across, down)), (CELLS, CELLS))
        found.append(cells.reshape(-1, CELLS * CELLS))
        boxes += [
            Box(left / across, top / down, CELLS / across, CELLS / down)
            for top in range(cells.shape[0])
            for left in range(cells.shape[1])
        ]
    return (np.concatenate(found) if found else np.empty((0, CELLS * CELLS), np.float32)), boxes


def _cells(grey: Image.Image, size: tuple[int, int]) -> Floats:
    """The picture as (down, across) cells; each reaches into its neighbours, so that half a cell aside still agrees."""
    return np.asarray(grey.resize(size, Image.Resampling.BILINEAR), dtype=np.float32)


def _normalised(cells: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Rows without mean and of length 1, and which of them are too plain to tell anything."""
    centred = cells - cells.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.maximum(length, 1e-6), length[:, 0] < PLAIN * math.sqrt(cells.shape[1])


def _laid(part: Image.Image, whole: Image.Image, start: Box) -> Box | None:
    """Where ``part`` lies in ``whole``, from a first guess on by ever smaller steps; None where it does not."""
    wanted = _colours(part, Box(0, 0, 1, 1))
    box, least = start, _difference(wanted, _colours(whole, start))[0]
    if least > HOPELESS:
        return None
    step = 0.5 / CELLS
    while step > 0.01:
        tries = [(_difference(wanted, _colours(whole, one))[0], one) for one in _around(box, step)]
        nearest, other = min(tries, key=lambda one: one[0])
        if nearest < least:
            box, least = other, nearest
        else:
            step /= 2
    mean, most = _difference(wanted, _colours(whole, box))
    return box if mean <= SAME_MEAN and most <= SAME_MOST else None


def _around(box: Box, step: float) -> Iterator[Box]:
    """The box moved, or made larger or smaller about its middle, by ``step`` of its own size, within the picture."""
    x, y = box.width * step, box.height * step
    for left, top, width, height in (
        *((x, 0, 0, 0), (-x, 0, 0, 0), (0, y, 0, 0), (0, -y, 0, 0)),
        *((-x / 2, -y / 2, x, y), (x / 2, y / 2, -x, -y)),
        *((-x / 2, 0, x, 0), (x / 2, 0, -x, 0), (0, -y / 2, 0, y), (0, y / 2, 0, -y)),
    ):
        wide, high = min(1.0, box.width + width), min(1.0, box.height + height)
        across, down = min(max(0.0, box.left + left), 1 - wide), min(max(0.0, box.top + top), 1 - high)
        yield Box(across, down, wide, high)


def _colours(picture: Image.Image, box: Box) -> Floats:
    """The colours (256, 3) of a part of the picture."""
    left, top = box.left * picture.width, box.top * picture.height
    right = min(left + box.width * picture.width, picture.width)
    bottom = min(top + box.height * picture.height, picture.height)
    cells = picture.resize((FINE, FINE), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    return np.asarray(cells, dtype=np.float32).reshape(-1, 3)


def _difference(first: Floats, second: Floats) -> tuple[float, float]:
    """By how many levels the colours of two parts differ, apart from a slight tint: on average, and in 1 of 50."""
    apart = first - second
    apart -= apart.mean(axis=0).clip(-TONE, TONE)
    levels = np.abs(apart).mean(axis=1)
    return float(levels.mean()), float(np.percentile(levels, 98))
