"""A project that goes on from a finished LoRA: the same images and settings, gentler and shorter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lora_trainer.api.services import Services
from lora_trainer.api.watch import View
from lora_trainer.errors import BadSettings
from lora_trainer.presets.differences import BY_FAMILY, BY_GOAL, BY_MEMORY, TINY
from lora_trainer.project.project import Project
from lora_trainer.settings import Settings, fields, to_flat

SOFTER = 0.5  # of the learning rates: what is learnt already is not to be shaken
RATES = ("unet_lr", "text_encoder_lr", "text_encoder_lr2")
NOT_TAKEN = ("images", "name", "out")
FEWEST = 3  # epochs


def draft(services: Services, view: View, lora: Path, epoch: int) -> Project:
    """The project. Raises ``UserError`` where it cannot be made."""
    if view.settings is None:
        raise BadSettings("state_missing", name=view.run.id)
    owner = next((one for one in services.projects.list() if view.run.id in one.read()["runs"]), None)
    goal = owner.read()["goal"] if owner else "character"
    project = services.projects.create(f"{view.settings.output.name} {epoch}+", goal)
    project.change({"images": view.settings.data.images, "in_place": True})
    project.change_settings(continued(view.settings, lora))
    return project


def continued(settings: Settings, lora: Path) -> dict[str, Any]:
    """The run's settings where they differ from the defaults, or a preset could say otherwise."""
    from lora_trainer.training.optimizers import sets_own_rate, shares_rate

    flat = to_flat(settings)
    sets = (
        *BY_GOAL.values(),
        *BY_FAMILY.values(),
        *(one for part in BY_MEMORY.values() for one in part.values()),
        TINY,
    )
    said = {"resolution", "unet_lr", "repeats", "min_bucket_reso", "max_bucket_reso"} | {n for one in sets for n in one}
    kept = {n: v for n, v in flat.items() if n in said or v != fields()[n][1].default}
    finds_rate = shares_rate(settings.optimizer) or sets_own_rate(settings.optimizer)
    softer = {} if finds_rate else {name: flat[name] * SOFTER for name in RATES if flat[name]}
    going_on = {
        "network_weights": str(lora),
        "dim_from_weights": True,
        "epochs": max(FEWEST, settings.training.epochs // 2),
    }
    return {name: value for name, value in {**kept, **softer, **going_on}.items() if name not in NOT_TAKEN}
