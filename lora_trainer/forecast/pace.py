"""How fast a run goes: as former runs with such settings went here, or else as its arithmetic tells, roughly."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from lora_trainer.errors import BadSettings
from lora_trainer.forecast.machine import Machine
from lora_trainer.forecast.model import Model
from lora_trainer.run import Run
from lora_trainer.settings import Settings, to_flat

# Settings that decide how long a step takes; runs that share them are of one class.
CLASS = (
    *("resolution", "batch_size", "gradient_accumulation_steps", "gradient_checkpointing", "mixed_precision"),
    *("network_type", "network_dim", "conv_dim", "optimizer_type", "sample_steps", "max_token_length"),
)
TEXT_RATES = ("text_encoder_lr", "text_encoder_lr2")
WARM_UP = 3  # first steps, which are slower
FEWEST = 8  # steps that a pace is worth being taken from
MOST_RUNS = 40  # that are looked at

# Forward passes in TFLOP by the side of a square picture, counted on the families' U-Nets; SD 2 is much like SD 1.
FORWARD = {
    "SD1": {256: 0.180, 512: 0.803, 640: 1.361, 768: 2.148, 1024: 4.674},
    "SD2": {256: 0.180, 512: 0.803, 640: 1.361, 768: 2.149, 1024: 4.674},
    "SDXL": {512: 1.589, 768: 3.641, 1024: 6.761, 1280: 11.195, 1536: 17.261},
}
STEP = {"SD1": 2.23, "SD2": 2.43, "SDXL": 2.15}  # of a forward pass: forward, activations' and adapters' gradients
RECOMPUTED = 1.4  # times that, where blocks are recomputed
ENCODE, DECODE = 4.26e-6, 9.57e-6  # TFLOP of a pixel in the VAE
# Seconds that starting all kernels of a step takes on a card, which no small batch goes below (SimpleTuner, batch 1).
LAUNCH = {"SD1": 0.18, "SD2": 0.18, "SDXL": 0.6}
STRATA = 8  # forward passes of a held-out image


@dataclass(frozen=True)
class Pace:
    """Seconds of a step, of what follows each epoch, of a cell of the grid, and of encoding an image. ``measured`` on
    former runs, or else rough."""

    step_s: float
    epoch_s: float
    cell_s: float
    image_s: float
    measured: bool

    def total(self, steps: int, epochs: int, cells: int, images: int) -> float:
        """Seconds of a whole run."""
        return steps * self.step_s + epochs * self.epoch_s + cells * self.cell_s + images * self.image_s


def measured(runs: Iterable[Run], settings: Settings, model: Model, device: str) -> Pace | None:
    """The pace of the newest former run of the same class, on the same device and checkpoint."""
    wanted = class_of(to_flat(settings))
    for number, run in enumerate(runs):
        if number >= MOST_RUNS:
            return None
        values = _values(run)
        if values is None or class_of(values) != wanted:
            continue
        if (pace := _of_run(run, model.title, device)) is not None:
            return pace
    return None


def _of_run(run: Run, title: str, device: str) -> Pace | None:
    """The same file is read once, however often a plan is asked for."""
    path = run.folder / "events.jsonl"
    return _of_file(run, path.stat().st_size, title, device) if path.is_file() else None


@lru_cache(maxsize=64)
def _of_file(run: Run, size: int, title: str, device: str) -> Pace | None:
    return _pace(list(run.lines()), title, device)


def class_of(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides how long a step takes."""
    learns_text = any(values.get(name) for name in TEXT_RATES)
    return (*(values.get(name) for name in CLASS), learns_text)


def rough(settings: Settings, model: Model, machine: Machine, held_out: int, prompts: int) -> Pace:
    """The pace by the number of operations: right to a factor of two or three."""
    data, samples = settings.data, settings.samples
    images = data.batch_size * settings.training.gradient_accumulation_steps
    forward = forward_tflop(model, data.resolution)
    step = images * forward * STEP[model.family] * (RECOMPUTED if settings.training.gradient_checkpointing else 1)
    pixels = data.resolution**2 * min(1.0, model.scale * 4)
    width, height = samples.sample_width or data.resolution, samples.sample_height or data.resolution
    drawn = forward_tflop(model, round(math.sqrt(width * height)))
    cell = samples.sample_steps * 2 * drawn + DECODE * pixels
    marks = 2 * held_out * STRATA * forward
    rate = machine.flops / 1e12
    launch = LAUNCH[model.family] * settings.training.gradient_accumulation_steps if machine.device == "cuda" else 0.0
    return Pace(
        step_s=max(step / rate, launch),
        epoch_s=(marks + prompts * cell) / rate,
        cell_s=max(cell / rate, launch * samples.sample_steps / 6),
        image_s=ENCODE * pixels / rate,
        measured=False,
    )


def forward_tflop(model: Model, side: int) -> float:
    """TFLOP of a forward pass, between and beyond the counted sizes along a power of the side. A smaller model's in
    proportion to its weights."""
    table = sorted(FORWARD[model.family].items())
    after = next((i for i, (known, _) in enumerate(table) if known >= side), len(table) - 1)
    (low, first), (high, second) = table[max(0, after - 1)], table[max(1, after)]
    power = math.log(second / first) / math.log(high / low)
    return float(first * (side / low) ** power * min(1.0, model.scale))


def _values(run: Run) -> Mapping[str, Any] | None:
    """Its settings; None where this version cannot read them."""
    try:
        return to_flat(run.settings())
    except (OSError, ValueError, BadSettings):
        return None


def _pace(lines: list[dict[str, Any]], title: str, device: str) -> Pace | None:
    started = next((line for line in lines if line.get("kind") == "started"), None)
    if started is None or (started.get("checkpoint"), started.get("device")) != (title, device):
        return None
    steps = [line for line in lines if line.get("kind") == "stepped"]
    if len(steps) < FEWEST:
        return None
    seconds = [float(line["seconds"]) for line in steps[WARM_UP:]]
    return Pace(
        step_s=statistics.fmean(_without_outliers(seconds)),
        epoch_s=_between_epochs(steps),
        cell_s=_each(lines, "grid"),
        image_s=_each(lines, "caching"),
        measured=True,
    )


def _without_outliers(seconds: list[float]) -> list[float]:
    """Without steps during which something else happened."""
    limit = 5 * statistics.median(seconds)
    return [value for value in seconds if value <= limit]


def _between_epochs(steps: list[dict[str, Any]]) -> float:
    """Seconds from the end of an epoch's last step to the beginning of the next one's first: files, marks, previews."""
    pauses = [
        max(0.0, after["time"] - after["seconds"] - before["time"])
        for before, after in pairwise(steps)
        if before.get("epoch") != after.get("epoch") and "time" in before and "time" in after
    ]
    return statistics.median(pauses) if pauses else 0.0


def _each(lines: list[dict[str, Any]], stage: str) -> float:
    """Seconds of a part of a stage; 0 where nothing had to be done."""
    told = [line for line in lines if line.get("kind") == "progress" and line.get("stage") == stage and "time" in line]
    if len(told) < 2 or told[-1]["done"] <= told[0]["done"]:
        return 0.0
    return float(max(0.0, (told[-1]["time"] - told[0]["time"]) / (told[-1]["done"] - told[0]["done"])))
