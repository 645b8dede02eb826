"""Chance that is the same on every machine: a generator of its own for every combination of numbers and words."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def generator(*parts: int | str) -> random.Random:
    """Random numbers that belong to ``parts``. Hashed, since ``Random`` starts alike from 2 and 2 + 2**32."""
    digest = hashlib.sha256(ascii(parts).encode("ascii")).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def shuffled(items: Iterable[T], chance: random.Random) -> list[T]:
    """A shuffled copy. Sorted by ``random()``, the one method that Python promises never to change."""
    return [item for _, item in sorted(((chance.random(), item) for item in items), key=lambda pair: pair[0])]
