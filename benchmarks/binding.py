"""Bind to the trigger, shown on the Sprites world: ``python -m benchmarks.binding [--character NAME] [--count 40]``.

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

import numpy as np
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
from worlds.sprites.figures import CHARACTERS, HAT
from worlds.sprites.oracle import cells_of
from worlds.sprites.palette import INDEX, Array
from worlds.sprites.scene import PLACES, SIZES, Scene, random_scene, render, tags

COLOUR = "green"
TAG = f"{COLOUR} hat"
SHARED = 0.6  # of a drawn hat and the shape
TEXT_ENCODER_LR = 5e-4  # the word itself learns as well
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
    """``count`` scenes with the character, in which no hat is asked for."""
    rng = random.Random(f"asked of {character}")
    grounds = [
        name
        for name in list(INDEX)[:8]
        if name not in (CHARACTERS[character].body, CHARACTERS[character].detail, COLOUR)
    ]
    asked: list[str] = []
    while len(asked) < count:
        words = (f"{rng.choice(grounds)} background", rng.choice(SIZES), rng.choice(list(PLACES.values())))
        asked.append(", ".join((TRIGGERS[character], *words)))
    return asked


def wears_hat(picture: Image.Image) -> bool:
    """Whether the picture's cells in the hat's colour make up a hat: somewhere, at one of the two sizes, the shape
    and they share at least ``SHARED`` of what either covers. A ground in that colour is no hat."""
    green = cells_of(picture) == INDEX[COLOUR]
    return any(_share(green, HAT.repeat(scale, 0).repeat(scale, 1) == 1) >= SHARED for scale in (1, 2))


def _share(cells: Array, shape: Array) -> float:
    """The largest intersection over union of the set ``cells`` and ``shape``, over all places of the shape."""
    height, width = shape.shape
    windows = np.lib.stride_tricks.sliding_window_view(cells, (height, width))
    both = (windows & shape).sum((2, 3))
    return float((both / (cells.sum() + shape.sum() - both)).max())


@torch.no_grad()
def hats(file: Path | None, asked: Sequence[str]) -> float:
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
            worn.append(wears_hat(draw_picture(parts, drawing, precision)))
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
    parser.add_argument("--character", choices=tuple(TRIGGERS), default="ghost")
    parser.add_argument("--count", type=int, default=40, help="pictures a cell")
    parser.add_argument("--epochs", type=int, default=12)
    args = parser.parse_args()
    lines = []
    plain = prompts(args.character, args.count)
    told = [f"{prompt}, {TAG}" for prompt in plain]
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in write_sets(Path(scratch), args.character).items():
            home = Path(scratch) / f"home {name}"
            settings = {"images": str(folder), "epochs": args.epochs, "text_encoder_lr": TEXT_ENCODER_LR}
            job = train("LoRA", args.character, home, settings)
            file = job.files[max(job.files)]  # which epoch is best is another benchmark's question
            lines.append(verdict(name, *(hats(file, asked) for asked in (plain, told))))
            print(lines[-1], flush=True)
            alone = hats(file, [TRIGGERS[args.character]] * (args.count // 2))
            print(f"with the trigger word alone for a prompt, which says nothing of the scene: {alone:.0%}", flush=True)
    print("\n| tag | hat unasked | hat asked for | follows the prompt | goal | reached |\n|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
