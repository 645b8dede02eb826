"""A preset out of its parts: goal, family, memory, and what the checkpoint and the images tell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lora_trainer.language import English, translate
from lora_trainer.presets.differences import (
    BY_FAMILY,
    BY_GOAL,
    BY_MEMORY,
    FAMILIES,
    GOALS,
    MEMORIES,
    MOST_REPEATS,
    PROCESSOR,
    RESOLUTIONS,
    SHOWN,
    TINY,
    TINY_SHOWN,
    Differences,
)
from lora_trainer.settings import Settings, from_flat

RATE = 1e-4  # AdamW's for a LoRA at a batch of one
BUCKET = 64


@dataclass(frozen=True)
class Known:
    """What is known of the checkpoint and the set; a preset is right without any of it, and better with it.

    ``resolution`` is the side in pixels of the pictures that the checkpoint was made for, 0 where it does not tell;
    ``images`` are counted without repeats.
    """

    resolution: int = 0
    tiny: bool = False
    images: int = 0


@dataclass(frozen=True)
class Preset:
    """Settings that differ from the defaults, and the keys of the reasons why. An ``own`` one has a name."""

    id: str
    values: Mapping[str, Any]
    reasons: Mapping[str, str] = field(default_factory=dict)
    goal: str = ""
    family: str = ""
    memory_gb: int | None = None
    name: str = ""

    @property
    def own(self) -> bool:
        """Whether the user made it."""
        return bool(self.name)

    def settings(self, **more: Any) -> Settings:
        """All settings, ``more`` of them changed. Raises ``BadSettings``."""
        return from_flat({**self.values, **more})

    def title(self, language: str = English) -> str:
        """Its name, or what it is for: "SDXL · character · 12 GB"."""
        if self.own:
            return self.name
        key = "processor" if self.memory_gb == PROCESSOR else "card"
        goal = translate(f"preset.goal.{self.goal}", language)
        return translate(f"preset.title_{key}", language, family=self.family, goal=goal, memory=self.memory_gb)

    def why(self, language: str = English) -> dict[str, str]:
        """The reason of each value that has one, as a sentence."""
        said = {name: shown(self.values[name]) for name in self.reasons}
        return {
            name: translate(f"preset.reason.{key}", language, value=said[name]) for name, key in self.reasons.items()
        }


def shown(value: object) -> str:
    """A value as a sentence has it: 0.0001 and not 1e-04."""
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".")
    return str(value)


def compose(goal: str, family: str, memory_gb: int, known: Known | None = None) -> Preset:
    """The preset for these; later sets win over earlier ones."""
    known = known or Known()
    parts: list[Differences] = [BY_GOAL[goal], BY_FAMILY[family], _of_resolution(family, known)]
    parts += [BY_MEMORY[family][memory_gb]]
    if known.tiny:
        parts += [TINY, _of_tiny(known)]
    whole = {name: pair for part in parts for name, pair in part.items()}
    if not known.tiny:
        whole |= _of_batch(whole)
    if known.images:
        whole |= _of_images(family, known)
    return Preset(
        id=f"{goal}-{family.lower()}-{memory_gb or 'cpu'}",
        values={name: value for name, (value, _) in whole.items()},
        reasons={name: key for name, (_, key) in whole.items()},
        goal=goal,
        family=family,
        memory_gb=memory_gb,
    )


def built_in(known: Known | None = None) -> Iterator[Preset]:
    """Every preset that comes with the project."""
    for goal in GOALS:
        for family in FAMILIES:
            for memory in MEMORIES:
                yield compose(goal, family, memory, known)


def find_built_in(preset_id: str, known: Known | None = None) -> Preset | None:
    """The preset of that id, fitted to what is known; None where there is none."""
    return next((preset for preset in built_in(known) if preset.id == preset_id), None)


def _of_resolution(family: str, known: Known) -> Differences:
    if known.resolution:
        return {"resolution": (known.resolution, "resolution_told")}
    return {"resolution": (RESOLUTIONS[family], "resolution_family")}


def _of_tiny(known: Known) -> Differences:
    """All pictures as squares of the model's own size."""
    if not known.resolution:
        return {}
    side = max(BUCKET, known.resolution // BUCKET * BUCKET)
    return {
        "resolution": (known.resolution, "resolution_told"),
        "min_bucket_reso": (side, "buckets_tiny"),
        "max_bucket_reso": (side, "buckets_tiny"),
    }


def _of_batch(whole: Differences) -> Differences:
    """A learning rate that grows with the root of the images in a step."""
    together = whole["batch_size"][0] * whole.get("gradient_accumulation_steps", (1, ""))[0]
    rate = float(f"{RATE * math.sqrt(together):.2g}")
    return {"unet_lr": (rate, "rate" if together == 1 else "rate_batch")}


def _of_images(family: str, known: Known) -> Differences:
    """Repeats that show about as many pictures in an epoch, whatever the size of the set."""
    wanted = TINY_SHOWN if known.tiny else SHOWN[family]
    repeats = min(MOST_REPEATS, max(1, round(wanted / known.images)))
    return {"repeats": (repeats, "repeats" if repeats > 1 else "repeats_many")}
