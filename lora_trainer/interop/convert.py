"""Loose values of other programs' files, such as ``"1e-4"``, ``64.0`` or ``"True"``, as what a setting wants."""

from __future__ import annotations

import math
from typing import Any

MAX_WORDS = 10_000  # entries of a list that are read


class Unfit(ValueError):
    """A value that cannot be read as what is wanted."""


def is_unset(value: object) -> bool:
    """Whether a file says nothing by this value: empty text, nothing, an empty list, ``"None"``."""
    return value is None or (isinstance(value, str) and value.strip() in ("", "None")) or value in ([], {}, ())


def as_number(value: object) -> float:
    """A finite number. Raises ``Unfit``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Unfit("number")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise Unfit("number") from error
    if not math.isfinite(number):
        raise Unfit("number")
    return number


def as_whole(value: object) -> int:
    """A whole number; ``64.0`` is one. Raises ``Unfit``."""
    number = as_number(value)
    if number != int(number):
        raise Unfit("whole")
    return int(number)


def as_switch(value: object) -> bool:
    """Yes or no. Raises ``Unfit``."""
    text = str(value).strip().lower() if isinstance(value, (bool, int, str)) else ""
    if text not in ("true", "false", "1", "0", "yes", "no"):
        raise Unfit("switch")
    return text in ("true", "1", "yes")


def as_text(value: object) -> str:
    """A text; numbers become one. Raises ``Unfit``."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unfit("text")
    text = str(value)
    if "\0" in text:
        raise Unfit("text")
    return text


def as_texts(value: object) -> tuple[str, ...]:
    """A list of texts; a single one counts as a list. Raises ``Unfit``."""
    parts = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(parts) > MAX_WORDS:
        raise Unfit("texts")
    return tuple(as_text(part) for part in parts)


def as_kind_of(default: object, value: object) -> Any:
    """``value`` in the type of a setting's ``default``. Raises ``Unfit``, whose text names what is wanted."""
    for kind, reader in ((bool, as_switch), (int, as_whole), (float, as_number), (tuple, as_texts)):
        if isinstance(default, kind):
            return reader(value)
    return as_text(value)
