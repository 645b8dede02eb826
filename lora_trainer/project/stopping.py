"""How work that asks now and then whether it is to end comes to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Stop: TypeAlias = Callable[[], bool]


class Stopped(Exception):
    """The user has ended it."""
