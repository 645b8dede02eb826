"""Every kind of network on every concept set of the Sprites world: ``python -m benchmarks.networks [--types LoRA …]``.

Trains as the demonstration does, takes the epoch that the held-out loss chooses, draws four prompts with it at weight 1
and has the oracle read them. Prints a line a run and, at the end, the table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from lora_trainer.adapter.layers import eject, load_lora
from lora_trainer.checkpoint.adopt import adopt
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.checkpoint.precision import choose, choose_device, place
from lora_trainer.checkpoint.sampling import Drawing, draw_picture
from lora_trainer.commands import Commands
from lora_trainer.demo import CHECKPOINT, PROMPTS, demo_settings
from lora_trainer.host.standalone import StandaloneHost
from lora_trainer.job import Job, prepare, work
from lora_trainer.picking.choice import candidates
from lora_trainer.picking.choice import choose as choose_epoch
from lora_trainer.settings import from_flat
from lora_trainer.settings.network import NETWORK_TYPES
from worlds.sprites.concepts import TRIGGERS
from worlds.sprites.oracle import concept_match

MORE_PROMPTS = ("green background, large, on the left", "pink background, large, in the middle, blue hat")
# What each kind wants beside the demonstration's settings: the products of small numbers in LoHa and LoKr, and the
# factors of IA3, need larger steps. IA3's factors alone cannot draw a new figure; with those of the norms they can.
PRESETS: dict[str, dict[str, Any]] = {
    "LoRA": {},
    "LoCon": {"conv_dim": 8, "conv_alpha": 8.0, "unet_lr": 1e-3},
    "LoHa": {"network_dim": 8, "network_alpha": 8.0, "unet_lr": 4e-3},
    "LoKr": {"network_dim": 16, "network_alpha": 16.0, "network_args": ("factor=4",), "unet_lr": 4e-3},
    "DoRA": {"unet_lr": 2e-3},
    "IA3": {"unet_lr": 4e-2, "network_args": ("train_norm=True",)},
}


def train(kind: str, character: str, home: Path, changes: dict[str, Any]) -> Job:
    """A run without grid and with one cheap preview."""
    cheap = {"grid": False, "sample_prompts": ("preview",), "sample_steps": 1}
    settings = {**demo_settings(character, home), "network_type": kind, **PRESETS[kind], **cheap, **changes}
    job = prepare(from_flat(settings), StandaloneHost(home))
    for _ in work(job, Commands()):
        pass
    return job


@torch.no_grad()
def matches(files: list[Path], character: str) -> list[float]:
    """Mean concept match, 0 ... 1, of the pictures that each file draws."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        parts = adopt(open_checkpoint(CHECKPOINT), Path(scratch))
        precision = choose(choose_device("auto"), "auto")
        place(parts, precision)
        for file in files:
            load_lora(parts, file)
            pictures = []
            for seed, prompt in enumerate((*PROMPTS, *MORE_PROMPTS), start=1):
                told = f"{TRIGGERS[character]}, {prompt}"
                drawing = Drawing(prompt=told, seed=seed, steps=20, cfg_scale=5.0, width=128, height=128)
                pictures.append(draw_picture(parts, drawing, precision))
            found.append(fmean(concept_match(picture, character) for picture in pictures))
        eject(parts)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--types", nargs="+", choices=NETWORK_TYPES, default=NETWORK_TYPES)
    parser.add_argument("--characters", nargs="+", choices=tuple(TRIGGERS), default=tuple(TRIGGERS))
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON", help="other settings, to try them")
    args = parser.parse_args()
    changes = {name: json.loads(value) for name, _, value in (text.partition("=") for text in args.set)}
    table: dict[str, list[str]] = {}
    for kind in args.types:
        for character in args.characters:
            with tempfile.TemporaryDirectory() as home:
                started = time.monotonic()
                job = train(kind, character, Path(home), changes)
                seconds = time.monotonic() - started
                epoch = choose_epoch(candidates(list(job.files), [1.0], job.curve)).epoch
                size = job.files[epoch].stat().st_size
                chosen, last = matches([job.files[epoch], job.files[max(job.files)]], character)
            print(
                f"{kind} {character}: epoch {epoch} {chosen:.2f}, last {last:.2f}, {job.plan.steps} steps in "
                f"{seconds:.0f} s, {size / 1e6:.2f} MB",
                flush=True,
            )
            table.setdefault(kind, []).append(f"{chosen:.2f}")
    print(f"\n| network | {' | '.join(args.characters)} |\n|---|{'---|' * len(args.characters)}")
    for kind, cells in table.items():
        print(f"| {kind} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
