"""Bitmaps of the figures: 5 x 5 cells, drawn at once or at twice their size.

``#`` is the body; in a concept character ``o`` is its second colour and ``.`` is background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worlds.sprites.palette import Array

_FIGURES = {
    "cat": "#...# ##### ##### .###. .#.#.",
    "fish": "#.##. ##### ####. ##### #.##.",
    "tree": "..#.. .###. ##### ..#.. ..#..",
    "heart": ".#.#. ##### ##### .###. ..#..",
    "key": "###.. #.### ###.# .#..# .##..",
    "cup": "##### #...# ##### .###. .###.",
    "bird": "##... .##.# .#### ..##. ...#.",
    "cross": ".###. #.#.# ##### #.#.# .###.",
}


@dataclass(frozen=True)
class Character:
    """A sprite that the base model has never seen: what a concept LoRA learns.

    ``poses`` are 5 x 5 bitmaps, ``body`` and ``detail`` name palette colours.
    """

    name: str
    body: str
    detail: str
    poses: tuple[str, ...]


CHARACTERS: dict[str, Character] = {
    "ghost": Character("ghost", "white", "black", (".###. #o#o# ##### ##### #.#.#", ".###. #o#o# ##### ##### .#.#.")),
    "robot": Character("robot", "gray", "red", ("#.#.. ##### #o#o# ##### .#.#.", "..#.. ##### #o#o# ##### #...#")),
    "mushroom": Character(
        "mushroom", "red", "white", (".###. ##o## #o### .ooo. .ooo.", ".###. #o#o# ##### ..o.. .ooo.")
    ),
}


def bitmap(text: str) -> Array:
    """(5, 5) integers: 0 background, 1 body, 2 second colour."""
    return np.array([[".#o".index(c) for c in row] for row in text.split()])


FIGURES: dict[str, Array] = {name: bitmap(text) for name, text in _FIGURES.items()}
# A hat sits on top of the figure's box: two rows, as wide as the figure.
HAT = bitmap(".###. #####")
