"""Every setting of a run: frozen dataclasses with one documented line under each field.

Forms, the command line, the API and the translations are generated from these classes. A field's name is unique over
all groups, follows kohya's scripts where they have it, and is the widget's ``elem_id`` behind ``lora_trainer_``.
Limits stand in the field's metadata; ``__post_init__`` enforces them.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any

from lora_trainer.errors import BadSettings
from lora_trainer.settings.data import CaptionSettings, DataSettings
from lora_trainer.settings.field import MAX_SEED, Group, check_value, limited
from lora_trainer.settings.network import NetworkSettings
from lora_trainer.settings.results import GridSettings, OutputSettings, SampleSettings
from lora_trainer.settings.training import LossSettings, OptimizerSettings, TrainingSettings

__all__ = [
    "MAX_SEED",
    "CaptionSettings",
    "DataSettings",
    "GridSettings",
    "Group",
    "LossSettings",
    "NetworkSettings",
    "OptimizerSettings",
    "OutputSettings",
    "SampleSettings",
    "Settings",
    "TrainingSettings",
    "changed",
    "check_value",
    "fields",
    "from_flat",
    "groups",
    "help_texts",
    "limited",
    "to_flat",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All settings of a run, group by group."""

    data: DataSettings = dataclasses.field(default_factory=DataSettings)
    captions: CaptionSettings = dataclasses.field(default_factory=CaptionSettings)
    network: NetworkSettings = dataclasses.field(default_factory=NetworkSettings)
    training: TrainingSettings = dataclasses.field(default_factory=TrainingSettings)
    optimizer: OptimizerSettings = dataclasses.field(default_factory=OptimizerSettings)
    loss: LossSettings = dataclasses.field(default_factory=LossSettings)
    samples: SampleSettings = dataclasses.field(default_factory=SampleSettings)
    grid: GridSettings = dataclasses.field(default_factory=GridSettings)
    output: OutputSettings = dataclasses.field(default_factory=OutputSettings)


def groups() -> dict[str, type[Group]]:
    """The groups by name, in the order in which they are shown."""
    hints = typing.get_type_hints(Settings)
    return {field.name: hints[field.name] for field in dataclasses.fields(Settings)}


@cache
def fields() -> dict[str, tuple[str, dataclasses.Field[Any]]]:
    """Every setting by its name: its group's name and its field."""
    return {field.name: (group, field) for group, kind in groups().items() for field in dataclasses.fields(kind)}


@cache
def help_texts() -> dict[str, str]:
    """The documented line under every field, by the field's name."""
    found = {}
    for kind in groups().values():
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body  # type: ignore[attr-defined]
        for line, below in itertools.pairwise(body):
            if (
                isinstance(line, ast.AnnAssign)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found[ast.unparse(line.target)] = str(below.value.value)
    return found


def from_flat(values: dict[str, Any]) -> Settings:
    """Settings from ``{name: value}``; lists become tuples. Raises ``BadSettings`` on unknown names and bad values."""
    grouped: dict[str, dict[str, Any]] = {group: {} for group in groups()}
    for name, value in values.items():
        if name not in fields():
            raise BadSettings("setting_unknown", field=name, name=name)
        group, field = fields()[name]
        value = tuple(value) if isinstance(value, list) else value
        grouped[group][name] = float(value) if type(field.default) is float and type(value) is int else value
    made: dict[str, Any] = {group: kind(**grouped[group]) for group, kind in groups().items()}
    return Settings(**made)


def to_flat(settings: Settings) -> dict[str, Any]:
    """``{name: value}`` of all settings; the inverse of ``from_flat``."""
    return {name: getattr(getattr(settings, group), name) for name, (group, _) in fields().items()}


def changed(settings: Settings, **values: Any) -> Settings:
    """A copy with some values changed, by their names."""
    return from_flat({**to_flat(settings), **values})
