"""Bind to the trigger, shown on the Sprites world: ``python -m benchmarks.binding [--character mushroom] [--count 40]``.

One set of pictures of a character, every one with a green hat. From one copy the tag is removed by the edit that the
captions' room proposes, from the other it is not; a LoRA is trained on each and drawn with and without the tag. The
oracle counts hats: the removed trait is to appear without being asked for, the kept one to come and go with the prompt.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from benchmarks.networks import train
from lora_trainer.adapter.layers import eject, load_lora
from lora_trainer.captions.binding import bindings
from lora_trainer.captions.operations import Add
from lora_trainer.captions.selection import Everything
from lora_trainer.captions.store import CaptionStore
from lora_trainer.checkpoint.adopt import adopt
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.checkpoint.precision import choose, choose_device, place
from lora_trainer.checkpoint.sampling import Drawing, draw_picture
from lora_trainer.demo import CHECKPOINT
from worlds.sprites.concepts import COUNT, TRIGGERS
from worlds.sprites.figures import CHARACTERS, HAT, bitmap
from worlds.sprites.oracle import cells_of
from worlds.sprites.palette import INDEX, Array
from worlds.sprites.scene import GRID, PLACES, SIZES, Scene, random_scene, render, tags

COLOUR = "green"
TAG = f"{COLOUR} hat"
BOUND, ADJUSTABLE = 0.90, 0.80  # what is to be reached


def write_pictures(folder: Path, character: str, count: int = COUNT) -> None:
    """``count`` pictures of the character, all with the hat, and all their tags as captions."""
    folder.mkdir(parents=True)
    rng = random.Random(f"binding {character}")
    for number in range(1, count + 1):
        scene = with_hat(random_scene(rng, character), rng)
        words = tags(scene)
        rng.shuffle(words)
        render(scene).save(folder / f"{number:02d}.png", optimize=True)
        (folder / f"{number:02d}.txt").write_text(", ".join(words) + "\n", encoding="utf-8", newline="\n")


def with_hat(scene: Scene, rng: random.Random) -> Scene:
    """The scene with the hat, on a ground and in a border of other colours."""
    worn = (scene.colour, CHARACTERS[scene.subject].detail, COLOUR)
    grounds = [name for name in list(INDEX)[:8] if name not in (*worn, scene.border)]
    background = scene.background if scene.background != COLOUR else rng.choice(grounds)
    border = scene.border if scene.border != COLOUR else None
    return replace(scene, hat=COLOUR, background=background, border=border)


def write_sets(home: Path, character: str) -> dict[str, Path]:
    """The sets "removed" and "kept": the same pictures, the tag bound by the proposal in one of them."""
    write_pictures(home / "kept", character)
    shutil.copytree(home / "kept", home / "removed")
    for folder in (home / "kept", home / "removed"):
        store = CaptionStore(folder)
        store.apply(Add(TRIGGERS[character]), Everything())
        proposed = {one.tag: one for one in bindings(store.captions, TRIGGERS[character])}
        if folder.name == "removed":
            print(proposed[TAG].text())
            store.apply(proposed[TAG].operation, Everything())
    return {name: home / name for name in ("removed", "kept")}


def prompts(character: str, count: int) -> list[str]:
    """The trigger alone, then with scenes that no hat is asked for in; ``count`` in all."""
    rng = random.Random(f"asked of {character}")
    grounds = [
        name
        for name in list(INDEX)[:8]
        if name not in (CHARACTERS[character].body, CHARACTERS[character].detail, COLOUR)
    ]
    asked = [TRIGGERS[character]] * (count // 2)
    while len(asked) < count:
        words = (f"{rng.choice(grounds)} background", rng.choice(SIZES), rng.choice(list(PLACES.values())))
        asked.append(", ".join((TRIGGERS[character], *words)))
    return asked


def wears_hat(picture: Image.Image, character: str) -> bool:
    """Whether the character, found where it fits best, has the hat's colour above it in most of the hat's cells."""
    cells = cells_of(picture)
    row, column, scale = _where(cells, character)
    hat = HAT.repeat(scale, 0).repeat(scale, 1)
    top = row - len(hat)
    found = [
        cells[top + y, column + x] == INDEX[COLOUR]
        for y, x in zip(*hat.nonzero(), strict=True)
        if top + y >= 0 and column + x < GRID
    ]
    around = (hat == 0).nonzero()
    ground = [cells[max(0, top + y), min(GRID - 1, column + x)] == INDEX[COLOUR] for y, x in zip(*around, strict=True)]
    # A green ground is no hat: what is beside it must not be green as well.
    return bool(found) and sum(found) > len(found) / 2 and sum(ground) <= len(ground) / 2


def _where(cells: Array, character: str) -> tuple[int, int, int]:
    """Row, column and scale of the box in which most cells are the character's."""
    person = CHARACTERS[character]
    best = (-1.0, 0, 0, 1)
    for pose in person.poses:
        for shape in (bitmap(pose), bitmap(pose)[:, ::-1]):
            for scale in (1, 2):
                big = shape.repeat(scale, 0).repeat(scale, 1)
                best = max(best, _best_place(cells, big, (person.body, person.detail), scale))
    return best[1:]


def _best_place(cells: Array, shape: Array, inks: tuple[str, str], scale: int) -> tuple[float, int, int, int]:
    """The share of ``shape`` that the cells show at its best place, with row, column and scale."""
    wanted = [(shape == value, INDEX[ink]) for value, ink in enumerate(inks, start=1)]
    rest = shape == 0
    found = []
    for row in range(GRID + 1 - len(shape)):
        for column in range(GRID + 1 - len(shape)):
            box = cells[row : row + len(shape), column : column + len(shape)]
            right = sum(int(((box == ink) & mask).sum()) for mask, ink in wanted)
            right += int((rest & (box != INDEX[inks[0]]) & (box != INDEX[inks[1]])).sum())
            found.append((right / shape.size, row, column, scale))
    return max(found)


@torch.no_grad()
def hats(file: Path | None, character: str, asked: Sequence[str]) -> float:
    """The share of ``asked`` whose pictures show the hat, drawn with the LoRA ``file`` at weight 1."""
    worn = []
    with tempfile.TemporaryDirectory() as scratch:
        parts = adopt(open_checkpoint(CHECKPOINT), Path(scratch))
        precision = choose(choose_device("auto"), "auto")
        place(parts, precision)
        if file is not None:
            load_lora(parts, file)
        for seed, prompt in enumerate(asked, start=1):
            drawing = Drawing(prompt=prompt, seed=seed, steps=20, cfg_scale=5.0, width=128, height=128)
            worn.append(wears_hat(draw_picture(parts, drawing, precision), character))
        eject(parts)
    return sum(worn) / len(worn)


def verdict(name: str, unasked: float, asked: float) -> str:
    """One line of the table: the set, how often the hat came unasked and asked for, and whether that is the goal."""
    follows = ((1 - unasked) + asked) / 2
    good = unasked >= BOUND if name == "removed" else follows >= ADJUSTABLE
    goal = f"unasked ≥ {BOUND:.0%}" if name == "removed" else f"with the prompt ≥ {ADJUSTABLE:.0%}"
    return f"| {name} | {unasked:.0%} | {asked:.0%} | {follows:.0%} | {goal} | {'yes' if good else 'NO'} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--character", choices=tuple(TRIGGERS), default="mushroom")
    parser.add_argument("--count", type=int, default=40, help="pictures a cell, half of them of the trigger alone")
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args()
    lines = []
    plain = prompts(args.character, args.count)
    told = [f"{prompt}, {TAG}" for prompt in plain]
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in write_sets(Path(scratch), args.character).items():
            home = Path(scratch) / f"home {name}"
            job = train("LoRA", args.character, home, {"images": str(folder), "epochs": args.epochs})
            file = job.files[max(job.files)]  # which epoch is best is another benchmark's question
            lines.append(verdict(name, *(hats(file, args.character, asked) for asked in (plain, told))))
            print(lines[-1], flush=True)
    print("\n| tag | hat unasked | hat asked for | follows the prompt | goal | reached |\n|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
