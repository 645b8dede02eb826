"""Which images are held out, and in which batches and order an epoch shows the others. The same on every machine."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Hashable, Sequence
from typing import TypeVar

FEWEST_TO_SPLIT = 5  # with fewer images each one is worth more to learn from than to measure with

T = TypeVar("T")


def split(items: Sequence[T], share: float, seed: int) -> tuple[list[T], list[T]]:
    """Items to train on and items held out, both in their given order.

    Held out are ``share`` of them, at least 1; none when ``share`` is 0 or there are fewer than 5.
    """
    if share <= 0 or len(items) < FEWEST_TO_SPLIT:
        return list(items), []
    count = max(1, round(share * len(items)))
    held_out = set(_shuffled(range(len(items)), _generator(seed))[:count])
    train = [item for index, item in enumerate(items) if index not in held_out]
    return train, [items[index] for index in sorted(held_out)]


def epoch_batches(
    buckets: Sequence[Hashable], repeats: Sequence[int], batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """The epoch's batches of example numbers: example ``i`` of bucket ``buckets[i]`` comes ``repeats[i]`` times.

    A batch has one bucket; a bucket's last one may be smaller, none is dropped. Repeats come in rounds: an image meets
    itself in a batch only where rounds join.
    """
    generator = _generator(seed, epoch)
    batches: list[list[int]] = []
    for bucket in dict.fromkeys(buckets):
        members = [index for index, its_bucket in enumerate(buckets) if its_bucket == bucket]
        rounds = range(max(repeats[index] for index in members))
        order = [i for turn in rounds for i in _shuffled([m for m in members if repeats[m] > turn], generator)]
        batches += [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return _shuffled(batches, generator)


def steps_per_epoch(buckets: Sequence[Hashable], repeats: Sequence[int], batch_size: int) -> int:
    """The number of batches in an epoch, without making them."""
    seen: dict[Hashable, int] = {}
    for bucket, times in zip(buckets, repeats, strict=True):
        seen[bucket] = seen.get(bucket, 0) + times
    return sum(math.ceil(count / batch_size) for count in seen.values())


def _generator(*numbers: int) -> random.Random:
    """Random numbers of their own for every combination. Hashed, since ``Random`` starts alike from 2 and 2 + 2**32."""
    digest = hashlib.sha256(repr(numbers).encode("ascii")).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def _shuffled(items: Sequence[T], generator: random.Random) -> list[T]:
    """A shuffled copy. Sorted by ``random()``, the one method that Python promises never to change."""
    return [item for _, item in sorted(((generator.random(), item) for item in items), key=lambda pair: pair[0])]
