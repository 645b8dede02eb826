"""What a project would train with: the values of its preset, and over them its own."""

from __future__ import annotations

from lora_trainer.api.plan import wanted_of
from lora_trainer.api.services import Services
from lora_trainer.errors import UserError
from lora_trainer.project.project import Project
from lora_trainer.settings import Settings, from_flat


def settings_of(project: Project, services: Services) -> Settings:
    """All settings of a project. Without a checkpoint, or with a preset that is gone, the defaults stand for the
    preset. Raises ``BadSettings`` where the project's own are no good in this version."""
    from lora_trainer.forecast.machine import machine

    wanted, planner = wanted_of(project, services), services.planner
    try:
        model = planner.model(wanted.settings)
    except UserError:
        model = None
    there = machine(str(wanted.settings.get("device", "auto")), model.shared if model else 0)
    try:
        values = planner.preset(wanted, model, there).values
    except UserError:
        values = {}
    return from_flat({**values, **wanted.settings})
