"""How well a checkpoint draws the Sprites world: ``python -m worlds.sprites.evaluate [--sheet FILE]``.

Draws held-out prompts (scenes that it was not trained on) and has the oracle read the pictures back.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image

from lora_trainer.checkpoint.adopt import adopt
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.checkpoint.precision import choose, place
from lora_trainer.checkpoint.sampling import Drawing, draw_picture
from worlds.sprites.oracle import checks, prompt_match, read
from worlds.sprites.scene import random_scene, tags
from worlds.sprites.training.unet import SCENES, SEED

CHECKPOINT = Path(__file__).with_name("sprites.safetensors")
COLUMNS = 8


def held_out_prompts(count: int) -> list[str]:
    """``count`` prompts with all their tags, none of which describes a scene of the training set."""
    rng = random.Random(SEED)
    known = {frozenset(tags(random_scene(rng))) for _ in range(SCENES)}
    rng, prompts = random.Random("held out"), list[str]()
    while len(prompts) < count:
        words = tags(random_scene(rng))
        if frozenset(words) not in known:
            rng.shuffle(words)
            prompts.append(", ".join(words))
    return prompts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cfg-scale", type=float, default=5.0)
    parser.add_argument("--sheet", type=Path, help="write the first 32 pictures as a contact sheet")
    args = parser.parse_args()
    scores, by_kind, shown = [], Counter[str](), list[Image.Image]()
    demanded = Counter[str]()
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        parts = adopt(open_checkpoint(args.checkpoint), Path(scratch))
        precision = choose("cpu", "fp32")
        place(parts, precision)
        for number, prompt in enumerate(held_out_prompts(args.count)):
            drawing = Drawing(
                prompt=prompt, seed=number, steps=args.steps, cfg_scale=args.cfg_scale, width=128, height=128
            )
            picture = draw_picture(parts, drawing, precision)
            scores.append(prompt_match(picture, prompt))
            for kind, held in checks(read(picture), prompt):
                demanded[kind] += 1
                by_kind[kind] += held
            shown += [picture] if number < 4 * COLUMNS else []
    print(f"mean prompt match {fmean(scores):.3f} over {len(scores)} held-out prompts")
    print(", ".join(f"{kind} {by_kind[kind] / demanded[kind]:.2f}" for kind in demanded))
    if args.sheet:
        contact_sheet(shown).save(args.sheet, optimize=True)


def contact_sheet(pictures: list[Image.Image]) -> Image.Image:
    """The pictures in rows of eight."""
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * 136 + 8, rows * 136 + 8), "white")
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (8 + number % COLUMNS * 136, 8 + number // COLUMNS * 136))
    return sheet


if __name__ == "__main__":
    main()
