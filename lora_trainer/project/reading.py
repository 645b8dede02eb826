"""Values of a JSON body, each of the type that is wanted, or one sentence about the one that is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from lora_trainer.errors import BadSettings

T = TypeVar("T")
MOST_LETTERS = 10_000  # of a text that somebody types
ANY = 1 << 40
MOST_LISTED = 100_000


def text(values: Mapping[str, Any], name: str, default: str = "", most: int = MOST_LETTERS) -> str:
    """The text ``name``. Raises ``BadSettings``."""
    found = of_type(values, name, default, str)
    if len(found) > most:
        raise BadSettings("text_long", field=name, name=name, most=most)
    return found


def number(values: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    """A number within limits; a whole one counts as well. Raises ``BadSettings``."""
    found = values.get(name, default)
    if type(found) not in (int, float):
        raise _wrong_type(name, found, float)
    return float(_within(name, found, low, high))


def whole(values: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    """A whole number within limits. Raises ``BadSettings``."""
    return int(_within(name, of_type(values, name, default, int), low, high))


def choice(values: Mapping[str, Any], name: str, default: str, choices: Sequence[str]) -> str:
    """One of ``choices``. Raises ``BadSettings``."""
    found = values.get(name, default)
    if found not in choices:
        raise BadSettings("setting_choice", field=name, name=name, value=found, choices=", ".join(choices))
    return str(found)


def texts(values: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts; none where it is missing. Raises ``BadSettings``."""
    found = of_type(values, name, [], list)
    if len(found) > MOST_LISTED or not all(isinstance(one, str) for one in found):
        raise _wrong_type(name, f"[… {len(found)}]", list)
    return list(found)


def mapping(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object; empty where it is missing. Raises ``BadSettings``."""
    return of_type(values, name, {}, dict)


def of_type(values: Mapping[str, Any], name: str, default: T, kind: type[T]) -> T:
    """The value ``name``, of exactly this type. Raises ``BadSettings``."""
    found = values.get(name, default)
    if type(found) is not kind:
        raise _wrong_type(name, found, kind)
    return found


def _within(name: str, found: float, low: float, high: float) -> float:
    if not low <= found <= high:  # nor is "not a number" within
        raise BadSettings("setting_range", field=name, name=name, value=found, low=low, high=high)
    return found


def _wrong_type(name: str, found: object, kind: type[Any]) -> BadSettings:
    shown = repr(found)
    value = shown if len(shown) <= 60 else f"{shown[:60]}…"
    return BadSettings("setting_type", field=name, name=name, value=value, kind=kind.__name__)
