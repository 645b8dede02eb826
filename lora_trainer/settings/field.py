"""What a setting is: a documented field of a frozen dataclass with its limits in its metadata."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lora_trainer.errors import BadSettings

MAX_SEED = 2**32 - 1
HEX_COLOUR = "#[0-9a-fA-F]{6}"
ON = {"above": 0}  # needs: more than nothing
GIVEN = {"not": ""}  # needs: a text

Needs = Mapping[str, Sequence[Any]]


def limited(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
    basic: bool = False,
) -> Any:
    """A field with limits (both inclusive) or choices; ``basic`` fields are shown unfolded."""
    metadata = {"low": low, "high": high, "choices": choices, "basic": basic}
    return dataclasses.field(default=default, metadata=metadata)


def suggested(default: str, suggestions: tuple[str, ...]) -> Any:
    """A field with ``suggestions``, beside which other values are taken."""
    return dataclasses.field(default=default, metadata={"suggestions": suggestions})


def shown(made: Any, *, unit: str = "", needs: Needs | None = None) -> Any:
    """``made``, a field or a plain default, with its unit (a text's key behind ``unit.``) and what it needs.

    ``needs`` are the values that other settings must have for this one to mean anything; a form hides it otherwise. A
    value may be ``{"above": number}`` or ``{"not": value}``. ``family`` stands for the checkpoint's: SD1, SD2 or SDXL.
    """
    field = made if isinstance(made, dataclasses.Field) else dataclasses.field(default=made)
    return dataclasses.field(default=field.default, metadata={**field.metadata, "unit": unit, "needs": needs or {}})


def coloured(default: str, names: tuple[str, ...]) -> Any:
    """A field that is a colour: one of ``names``, which CSS knows too, or ``#rrggbb``."""
    return dataclasses.field(default=default, metadata={"suggestions": names, "form": HEX_COLOUR})


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """What all groups of settings share: the check of every field against its limits."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))


def check_value(field: dataclasses.Field[Any], value: object) -> None:
    """Raise ``BadSettings`` when ``value`` breaks the type, limits or choices of ``field``."""
    kind = type(field.default) if field.default is not dataclasses.MISSING else str
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) if kind is float else type(value) is kind
    if not fits:
        raise BadSettings("setting_type", field=field.name, name=field.name, value=value, kind=kind.__name__)
    choices, low, high = (field.metadata.get(key) for key in ("choices", "low", "high"))
    if choices and value not in choices:
        shown = ", ".join(map(str, choices))
        raise BadSettings("setting_choice", field=field.name, name=field.name, value=value, choices=shown)
    form, names = field.metadata.get("form"), field.metadata.get("suggestions", ())
    if form and value not in names and not re.fullmatch(form, str(value)):
        raise BadSettings("setting_colour", field=field.name, name=field.name, value=value, names=", ".join(names))
    if isinstance(value, (int, float)) and low is not None and high is not None and not low <= value <= high:
        raise BadSettings("setting_range", field=field.name, name=field.name, value=value, low=low, high=high)
