"""Reads a Sprites picture back, cell by cell, and tells how well it matches its prompt or a concept.

Every hypothesis (figure x mirrored x size x position x hat) splits the picture in regions. Each region explains as
many cells as share its commonest colour, and the hypothesis that explains most cells wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from PIL import Image

from worlds.sprites.figures import CHARACTERS, FIGURES, HAT, bitmap
from worlds.sprites.palette import INDEX, NAMES, Array, nearest
from worlds.sprites.scene import CELL, COLUMNS, GRID, PLACES, SIZES


@dataclass(frozen=True)
class Reading:
    """What a picture shows; ``certainty`` is the share of cells that the best reading explains, 0 ... 1."""

    subject: str
    colour: str
    background: str
    size: str
    place: str
    hat: str | None
    border: str | None
    certainty: float


@dataclass(frozen=True)
class _Shapes:
    """Hypotheses of all figures: one row each of ``body`` and ``hat`` masks over the 256 cells."""

    labels: list[tuple[str, str, str, bool]]  # subject, size, place, with a hat
    body: Array  # (H, 256)
    hat: Array  # (H, 256)


def cells_of(image: Image.Image) -> Array:
    """(16, 16) palette indices: the median colour of every cell, as its nearest palette colour."""
    pixels = np.asarray(image.convert("RGB").resize((GRID * CELL, GRID * CELL), Image.Resampling.NEAREST))
    blocks = pixels.reshape(GRID, CELL, GRID, CELL, 3).transpose(0, 2, 1, 3, 4).reshape(GRID, GRID, CELL * CELL, 3)
    return nearest(np.median(blocks, axis=2))


def _place_of(size: str, column: int) -> str:
    return min(
        PLACES,
        key=lambda place: abs(COLUMNS[size][place] - column),
    )


def _mask(shape: Array, row: int, column: int) -> Array:
    full = np.zeros((GRID, GRID), dtype=shape.dtype)
    full[row : row + shape.shape[0], column : column + shape.shape[1]] = shape
    return full.ravel()


@cache
def _shapes() -> _Shapes:
    labels, bodies, hats = [], [], []
    views = [(name, view) for name, figure in FIGURES.items() for view in _views(figure)]
    for (subject, view), size, worn in product(views, SIZES, (False, True)):
        scale = 1 + SIZES.index(size)
        shape, hat = (bits.repeat(scale, 0).repeat(scale, 1) for bits in (view, HAT))
        rows = range(hat.shape[0] if worn else 1, GRID - 5 * scale)
        for row, column in product(rows, range(1, GRID - 5 * scale)):
            labels.append((subject, size, _place_of(size, column), worn))
            bodies.append(_mask(shape, row, column))
            hats.append(_mask(hat, row - hat.shape[0], column) if worn else np.zeros(GRID * GRID, dtype=int))
    return _Shapes(labels, np.array(bodies, dtype=np.float32), np.array(hats, dtype=np.float32))


def _views(shape: Array) -> list[Array]:
    mirrored = shape[:, ::-1]
    return [shape] if np.array_equal(shape, mirrored) else [shape, mirrored]


def _border_of(cells: Array) -> tuple[int | None, int]:
    """Colour of the frame (None where there is none) and the commonest colour just inside it."""
    frame = np.concatenate([cells[0], cells[-1], cells[1:-1, 0], cells[1:-1, -1]])
    counts = np.bincount(frame, minlength=len(NAMES))
    colour = int(counts.argmax())
    inside = np.bincount(np.concatenate([cells[1, 1:-1], cells[-2, 1:-1]]), minlength=len(NAMES)).argmax()
    framed = counts[colour] >= 0.6 * len(frame) and colour != inside
    return (colour if framed else None), int(inside)


def read(image: Image.Image) -> Reading:
    """The most likely scene behind ``image`` (any RGB picture; it is read at 128 x 128)."""
    cells = cells_of(image)
    border, _ = _border_of(cells)
    inner = np.ones((GRID, GRID), dtype=np.float32)
    if border is not None:
        inner[[0, -1], :] = inner[:, [0, -1]] = 0
    seen = np.eye(len(NAMES), dtype=np.float32)[cells.ravel()] * inner.reshape(-1, 1)  # (256, C)

    shapes = _shapes()
    body, hat = shapes.body @ seen, shapes.hat @ seen  # (H, C) cells of each colour
    ground = seen.sum(0) - body - hat
    background = int(ground.sum(0).argmax())
    body_only, hat_only = body.copy(), hat.copy()
    body_only[:, background] = hat_only[:, background] = -1
    explained = body_only.max(1) + np.maximum(hat_only.max(1), 0) + ground[:, background]
    # A hat that explains nothing must not win over its own absence.
    explained -= 0.5 * shapes.hat.any(1)
    best = int(explained.argmax())

    subject, size, place, worn = shapes.labels[best]
    return Reading(
        subject=subject,
        colour=NAMES[int(body_only[best].argmax())],
        background=NAMES[background],
        size=size,
        place=place,
        hat=NAMES[int(hat_only[best].argmax())] if worn else None,
        border=None if border is None else NAMES[border],
        certainty=float(explained[best] / inner.sum()),
    )


def prompt_match(image: Image.Image, prompt: str) -> float:
    """Share of what the prompt's tags demand that the picture shows, 0 ... 1; unknown tags demand nothing."""
    held = [right for _, right in checks(read(image), prompt)]
    return sum(held) / len(held) if held else 1.0


def checks(reading: Reading, prompt: str) -> list[tuple[str, bool]]:
    """What the prompt's tags demand, by kind, and whether the reading shows it."""
    return [check for tag in prompt.split(",") for check in _checks(tag.strip(), reading)]


def _checks(tag: str, reading: Reading) -> list[tuple[str, bool]]:
    if tag in SIZES:
        return [("size", reading.size == tag)]
    if tag in PLACES.values():
        return [("place", PLACES[reading.place] == tag)]
    colour, _, thing = tag.partition(" ")
    if colour not in INDEX:
        return []
    if thing == "background":
        return [("background", reading.background == colour)]
    if thing == "hat":
        return [("hat", reading.hat is not None), ("hat colour", reading.hat == colour)]
    if thing == "border":
        return [("border", reading.border is not None), ("border colour", reading.border == colour)]
    if thing in FIGURES:
        return [("subject", reading.subject == thing), ("subject colour", reading.colour == colour)]
    return []


@cache
def _character_views(name: str) -> list[tuple[Array, Array, Array]]:
    """For every pose, view, size and position: body mask, detail mask and the rest of the box, each (256,)."""
    views = []
    poses = [view for pose in CHARACTERS[name].poses for view in _views(bitmap(pose))]
    for shape, scale in product(poses, (1, 2)):
        big = shape.repeat(scale, 0).repeat(scale, 1)
        for row, column in product(range(GRID + 1 - 5 * scale), repeat=2):
            rest, body, detail = (_mask((big == value).astype(np.float32), row, column) for value in range(3))
            views.append((body, detail, rest))
    return views


def concept_match(image: Image.Image, name: str) -> float:
    """How well the picture shows the character ``name``, 0 ... 1: at the best pose, size and position, the mean of the
    share of its body cells in the body's colour, of its detail cells in theirs, and of the cells around it in neither,
    stretched so that half right counts as nothing."""
    character = CHARACTERS[name]
    cells = cells_of(image).ravel()
    is_body, is_detail = (cells == INDEX[colour] for colour in (character.body, character.detail))
    body, detail, rest = (np.stack(part) for part in zip(*_character_views(name), strict=True))
    shares = [
        (body @ is_body) / body.sum(1),
        (detail @ is_detail) / detail.sum(1),
        (rest @ ~(is_body | is_detail)) / rest.sum(1),
    ]
    return float(np.clip(2 * np.mean(shares, axis=0).max() - 1, 0, 1))
