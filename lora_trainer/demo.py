"""The demonstration: the main job on the shipped Sprites world, and what its oracle says of the result."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

from PIL import Image

from lora_trainer.picking.choice import read_choice
from lora_trainer.picking.render import load_grid
from worlds.sprites.concepts import SETS, TRIGGERS
from worlds.sprites.oracle import concept_match

CHECKPOINT = SETS.with_name("sprites.safetensors")
# What differs from the defaults, and why: the world is 128 pixels wide, and its small model learns faster than a large
# one.
DIFFERENCES: dict[str, Any] = {
    "resolution": 128,
    "min_bucket_reso": 128,
    "max_bucket_reso": 128,
    "epochs": 8,
    "repeats": 8,
    "batch_size": 2,
    "unet_lr": 2e-3,
    "network_dim": 16,
    "network_alpha": 16.0,
    "sample_steps": 20,
    "cfg_scale": 5.0,
    "noise_offset": 0.1,  # as the base was trained with
    "debiased_estimation_loss": True,  # as well: what the prompt alone decides, in deep noise, has to count
}
# Two prompts that no caption of the sets equals: one plain, one with a hat that must stay on its head.
PROMPTS = ("cyan background, large, in the middle", "yellow background, large, on the right, green hat")


def demo_settings(character: str, home: Path) -> dict[str, Any]:
    """Settings of the demonstration, under a name that is still free."""
    name, number = character, 1
    while any((home / "loras").glob(f"{name}-[0-9]*.safetensors")):
        number += 1
        name = f"{character}{number}"
    images, trigger = str(SETS / character), TRIGGERS[character]
    prompts = tuple(f"{trigger}, {prompt}" for prompt in PROMPTS)
    own = {"checkpoint": str(CHECKPOINT), "images": images, "trigger": trigger, "name": name}
    return {**DIFFERENCES, **own, "sample_prompts": prompts}


def judge(run: Path, character: str) -> dict[str, float]:
    """Mean concept match, 0 ... 1, of the chosen cells and of the column without LoRA, read from the grid."""
    grid, choice = load_grid(run / "grid"), read_choice(run / "grid")
    assert choice is not None
    matches: dict[bool, list[float]] = {True: [], False: []}
    for cell, path in grid.pictures.items():
        chosen = (cell.epoch, cell.weight) == (choice.epoch, choice.weight)
        if chosen or cell.epoch is None:
            with Image.open(path) as picture:
                matches[chosen].append(concept_match(picture, character))
    return {"chosen": fmean(matches[True]), "without": fmean(matches[False])}
