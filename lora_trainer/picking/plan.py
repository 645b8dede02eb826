"""The grid's plan (D7): which cells there are, and what each asks the host to draw."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from lora_trainer.errors import BadSettings
from lora_trainer.host.protocol import ImageRequest
from lora_trainer.picking.files import EpochFile

IMG_MAX_SIZE_MP = 200  # the WebUI's own default of that option


@dataclass(frozen=True)
class Cell:
    """One picture of the grid; without epoch and weight the base model's. ``prompt`` and ``seed`` count from 0."""

    epoch: int | None
    weight: float | None
    prompt: int
    seed: int

    def request(self, plan: GridPlan) -> ImageRequest:
        """What the host has to draw for it."""
        drawn = dataclasses.replace(plan.template, prompt=plan.prompts[self.prompt], seed=plan.seeds[self.seed])
        if self.epoch is None or self.weight is None:
            return dataclasses.replace(drawn, lora=None, weight=1.0)
        return dataclasses.replace(drawn, lora=plan.file(self.epoch).path, weight=self.weight)


@dataclass(frozen=True, kw_only=True)
class GridPlan:
    """Epochs × weights for every prompt and seed. What all share (size, steps, sampler …) is the ``template``'s."""

    epochs: tuple[EpochFile, ...]
    weights: tuple[float, ...]
    prompts: tuple[str, ...]
    seeds: tuple[int, ...] = (1,)
    template: ImageRequest = field(default_factory=lambda: ImageRequest(prompt=""))

    def __post_init__(self) -> None:
        epochs = tuple(file.epoch for file in self.epochs)
        _check_values("epochs", epochs)
        _check_values("grid_weights", self.weights)
        _check_values("sample_prompts", self.prompts)
        _check_values("sample_seed", self.seeds)

    def file(self, epoch: int) -> EpochFile:
        """The file of an epoch; ``KeyError`` when the plan lacks it."""
        return {file.epoch: file for file in self.epochs}[epoch]

    def cells(self) -> tuple[Cell, ...]:
        """All cells in the order of drawing: the base model once per prompt and seed, then one LoRA after the other."""
        pictures = [(prompt, seed) for prompt in range(len(self.prompts)) for seed in range(len(self.seeds))]
        loras: list[tuple[int | None, float | None]] = [(None, None)]
        loras += [(file.epoch, weight) for file in self.epochs for weight in self.weights]
        return tuple(Cell(epoch, weight, prompt, seed) for epoch, weight in loras for prompt, seed in pictures)


def _check_values(name: str, values: Sequence[object]) -> None:
    """Raise ``BadSettings`` when an axis, named by the setting it comes from, has no value or one of them twice."""
    if not values:
        raise BadSettings("grid_empty", field=name, name=name)
    if twice := [value for value in values if values.count(value) > 1]:
        raise BadSettings("grid_twice", field=name, name=name, value=twice[0])


def spread(epochs: Sequence[EpochFile], most: int, keep: int | None = None) -> tuple[EpochFile, ...]:
    """At most ``most`` of the epochs: evenly spread from the untrained model to the last, which is always among them.

    The epoch ``keep`` takes the nearest one's place; the last gives way to it only when there is room for no other.
    """
    count = min(most, len(epochs))
    picked = [-(-(i + 1) * len(epochs) // count) - 1 for i in range(count)]
    kept = next((i for i, file in enumerate(epochs) if file.epoch == keep), None)
    if kept is not None and kept not in picked:
        nearest = min(range(max(1, count - 1)), key=lambda i: abs(picked[i] - kept))
        picked[nearest] = kept
    return tuple(epochs[i] for i in sorted(picked))


def weight_text(weight: float) -> str:
    """A weight as prompts, file names and labels have it: ``0.8``, ``1``."""
    return f"{weight:g}"


def check_size(plan: GridPlan, limit_mp: float = IMG_MAX_SIZE_MP) -> None:
    """Raise ``BadSettings`` when the X/Y/Z plot would refuse a prompt's grid; both marks count as cells."""
    cells = (len(plan.epochs) + 1) * (len(plan.weights) + 1) * len(plan.seeds)
    megapixels = round(cells * plan.template.width * plan.template.height / 1e6)
    if megapixels >= limit_mp:
        values = {"cells": cells, "megapixels": megapixels, "limit": f"{limit_mp:g}"}
        raise BadSettings("grid_too_big", field="grid_epochs", **values)
