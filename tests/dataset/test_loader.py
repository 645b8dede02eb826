"""Batches: complete, of one bucket, reshuffled each epoch, and the same on every machine."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from lora_trainer.dataset.loader import epoch_batches, split, steps_per_epoch

# Nothing may ever change these: a resumed run must go on in the order in which it began.
PINNED_SPLIT = [1, 3, 10, 15]
PINNED_ORDER = [[0, 4], [6, 6], [2, 3], [0, 1], [6, 5], [6], [2, 3], [2, 1], [4, 0], [3, 4], [7, 1], [8, 8]]

BUCKETS = ["square"] * 5 + ["wide"] * 2 + ["square"] + ["tall"]
REPEATS = [3, 3, 3, 3, 3, 1, 4, 1, 2]


@pytest.mark.parametrize(
    ("count", "share", "held"),
    [
        (20, 0.1, 2),
        (24, 0.1, 2),
        (26, 0.1, 3),
        (5, 0.1, 1),
        (6, 0.01, 1),
        (4, 0.5, 0),
        (20, 0.0, 0),
        (9, 0.5, 4),
        (0, 0.1, 0),
    ],
)
def test_share_held_out(count: int, share: float, held: int) -> None:
    train, held_out = split(range(count), share, seed=1)
    assert len(held_out) == held
    assert sorted(train + held_out) == list(range(count))
    assert (train, held_out) == (sorted(train), sorted(held_out))


def test_the_same_are_held_out_everywhere() -> None:
    assert split(range(20), 0.2, seed=42)[1] == PINNED_SPLIT
    assert len({tuple(split(range(20), 0.2, seed)[1]) for seed in range(20)}) > 10


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 16, 64])
def test_batches_are_complete_and_of_one_bucket(batch_size: int) -> None:
    batches = epoch_batches(BUCKETS, REPEATS, batch_size, seed=1, epoch=1)
    assert Counter(index for batch in batches for index in batch) == dict(enumerate(REPEATS))
    assert all(len({BUCKETS[index] for index in batch}) == 1 for batch in batches)
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    smaller = Counter(BUCKETS[batch[0]] for batch in batches if len(batch) < batch_size)
    assert all(count == 1 for count in smaller.values())
    assert len(batches) == steps_per_epoch(BUCKETS, REPEATS, batch_size)


def test_steps_are_counted_as_kohya_does() -> None:
    # Σ over buckets of ceil(images * repeats / batch): 16/4 + ceil(5/4) + ceil(2/4)
    assert steps_per_epoch(BUCKETS, REPEATS, 4) == 4 + 2 + 1
    assert steps_per_epoch([0] * 20, [10] * 20, 1) == 200
    assert steps_per_epoch([], [], 4) == 0
    for count, repeats, batch_size in product((1, 7, 20), (1, 3, 10), (1, 4)):
        buckets = [index % 3 for index in range(count)]
        batches = epoch_batches(buckets, [repeats] * count, batch_size, seed=0, epoch=0)
        assert len(batches) == steps_per_epoch(buckets, [repeats] * count, batch_size)


def test_order_changes_with_seed_and_epoch_only() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        return epoch_batches(BUCKETS, REPEATS, 2, seed, epoch)

    assert order(42, 1) == order(42, 1) == PINNED_ORDER
    orders = [order(seed, epoch) for seed in (0, 1, 42, 2**32 - 1) for epoch in range(10)]
    assert len({str(one) for one in orders}) == len(orders)


def test_an_image_is_seen_before_any_is_seen_again() -> None:
    [batch] = epoch_batches([0] * 8, [3] * 8, 64, seed=5, epoch=2)
    rounds = [batch[start : start + 8] for start in (0, 8, 16)]
    assert all(sorted(one) == list(range(8)) for one in rounds)
    assert rounds[0] != rounds[1]


def test_nothing_to_train_on() -> None:
    assert epoch_batches([], [], 4, seed=1, epoch=1) == []
