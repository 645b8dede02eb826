"""Scenes of the Sprites world: drawn at random from a seed, rendered, and captioned as tags."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image

from worlds.sprites.figures import CHARACTERS, FIGURES, HAT, bitmap
from worlds.sprites.palette import COLOURS, INDEX, RGB, Array

GRID = 16  # cells along a side
CELL = 8  # pixels along a cell: the stride of the VAE
SIZES = ("small", "large")
PLACES = {"left": "on the left", "middle": "in the middle", "right": "on the right"}  # and the tag of each
# Column of the figure's box for each size and place.
COLUMNS = {"small": {"left": 1, "middle": 5, "right": 10}, "large": {"left": 1, "middle": 3, "right": 5}}


@dataclass(frozen=True)
class Scene:
    """Everything a picture shows. Colours are palette names; ``hat`` and ``border`` may be absent.

    ``row`` and ``column`` place the top left cell of the figure's box (without the hat).
    """

    subject: str
    colour: str
    background: str
    size: str
    place: str
    row: int
    column: int
    hat: str | None = None
    border: str | None = None
    mirrored: bool = False
    pose: int = 0

    @property
    def scale(self) -> int:
        """Cells that one bitmap dot covers along a side."""
        return 1 + SIZES.index(self.size)


def _other(rng: random.Random, *taken: str | None) -> str:
    return rng.choice([c for c in COLOURS if c not in taken])


def random_scene(rng: random.Random, character: str | None = None) -> Scene:
    """A scene drawn from ``rng``; with ``character`` its subject is that concept character."""
    size, place = rng.choice(SIZES), rng.choice(list(PLACES))
    scale = 1 + SIZES.index(size)
    if character is None:
        subject, colour = rng.choice(sorted(FIGURES)), rng.choice(list(COLOURS))
        poses, worn = 1, [colour]
    else:
        person = CHARACTERS[character]
        subject, colour = character, person.body
        poses, worn = len(person.poses), [person.body, person.detail]
    background = _other(rng, *worn)
    hat = _other(rng, background, *worn) if rng.random() < 0.4 else None
    border = _other(rng, background) if rng.random() < 0.35 else None
    mirrored = character is not None and rng.random() < 0.5
    return Scene(
        subject=subject,
        colour=colour,
        background=background,
        size=size,
        place=place,
        row=GRID - 1 - 5 * scale,  # it stands on the ground, one cell above the edge
        column=COLUMNS[size][place],
        hat=hat,
        border=border,
        mirrored=mirrored,
        pose=rng.randrange(poses),
    )


def paint(scene: Scene) -> Array:
    """(16, 16) palette indices."""
    cells = np.full((GRID, GRID), INDEX[scene.background])
    if scene.border:
        cells[[0, -1], :] = cells[:, [0, -1]] = INDEX[scene.border]
    character = CHARACTERS.get(scene.subject)
    shape = bitmap(character.poses[scene.pose]) if character else FIGURES[scene.subject]
    shape = shape[:, ::-1] if scene.mirrored else shape
    inks = (scene.colour, character.detail if character else scene.colour)
    _stamp(cells[scene.row :, scene.column :], _enlarged(shape, scene), inks)
    if scene.hat:
        hat = _enlarged(HAT, scene)
        _stamp(cells[scene.row - len(hat) :, scene.column :], hat, (scene.hat, scene.hat))
    return cells


def _enlarged(shape: Array, scene: Scene) -> Array:
    return shape.repeat(scene.scale, 0).repeat(scene.scale, 1)


def _stamp(cells: Array, shape: Array, inks: tuple[str, str]) -> None:
    """Colour the dots of ``shape`` at the top left of ``cells``, which is a view."""
    window = cells[: shape.shape[0], : shape.shape[1]]
    for value, ink in enumerate(inks, start=1):
        window[shape == value] = INDEX[ink]


def to_image(cells: Array) -> Image.Image:
    """A 128 x 128 picture of (16, 16) palette indices."""
    return Image.fromarray(RGB[cells].repeat(CELL, 0).repeat(CELL, 1))


def render(scene: Scene) -> Image.Image:
    """The scene as a 128 x 128 RGB picture."""
    return to_image(paint(scene))


def tags(scene: Scene) -> list[str]:
    """Every tag that holds for the scene; a concept character goes without a tag of its own."""
    found = [] if scene.subject in CHARACTERS else [f"{scene.colour} {scene.subject}"]
    found += [f"{scene.background} background", scene.size, PLACES[scene.place]]
    found += [f"{scene.hat} hat"] if scene.hat else []
    found += [f"{scene.border} border"] if scene.border else []
    return found


def caption(scene: Scene, rng: random.Random, left_out: float = 0.1) -> str:
    """The tags in random order, each left out with probability ``left_out``."""
    kept = [tag for tag in tags(scene) if rng.random() >= left_out]
    rng.shuffle(kept)
    return ", ".join(kept)
