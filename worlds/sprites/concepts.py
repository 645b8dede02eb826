"""The three concept sets: 20 pictures each of a character that the base model cannot draw. ``python -m
worlds.sprites.concepts``.

The pictures vary in pose, size, place and background; some wear a hat or stand in a border, and their captions say
so.
"""

from __future__ import annotations

import random
from pathlib import Path

from worlds.sprites.figures import CHARACTERS
from worlds.sprites.scene import random_scene, render, tags

SETS = Path(__file__).with_name("sets")
COUNT = 20
TRIGGERS = {"ghost": "spooklet", "robot": "tinbot", "mushroom": "capling"}


def write_set(character: str, folder: Path, count: int = COUNT) -> None:
    """Write ``count`` pictures with their captions (the trigger word is not among the tags) into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(f"concept {character}")
    shown = set[bytes]()
    for number in range(1, count + 1):
        scene = random_scene(rng, character)
        while render(scene).tobytes() in shown:  # twice the same picture would teach nothing new
            scene = random_scene(rng, character)
        shown.add(render(scene).tobytes())
        words = tags(scene)
        rng.shuffle(words)
        render(scene).save(folder / f"{number:02d}.png", optimize=True)
        (folder / f"{number:02d}.txt").write_text(", ".join(words) + "\n", encoding="utf-8", newline="\n")


def main() -> None:
    for character in CHARACTERS:
        write_set(character, SETS / character)


if __name__ == "__main__":
    main()
