"""Batches: complete, of one bucket, reshuffled each epoch, and the same on every machine; and how images are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lora_trainer.dataset.buckets import Placement
from lora_trainer.dataset.captions import Wording
from lora_trainer.dataset.examples import Dataset, Example, texts_of
from lora_trainer.dataset.loader import Shown, epoch_batches, share, steps_per_epoch
from lora_trainer.dataset.scan import Item
from lora_trainer.settings import CaptionSettings, DataSettings

# Nothing may ever change these: a resumed run must go on in the order in which it began.
PINNED_ORDER = [[0, 4], [6, 6], [2, 3], [0, 1], [6, 5], [6], [2, 3], [2, 1], [4, 0], [3, 4], [7, 1], [8, 8]]
PINNED_SHOWN = [
    (2, False, "sks, n2, e, g, c, b, d, h, f"),
    (1, False, "sks, n1, f, c, d, a, e, h"),
    (0, False, "sks, n0, c, e, b, d, a, h"),
    (1, False, "sks, n1, e, c, a, b, f, d"),
    (2, False, ""),
    (0, False, "sks, n0, b, g, d, h, c, e, f"),
]

BUCKETS = [64] * 5 + [72] * 2 + [64] + [80]
REPEATS = [3, 3, 3, 3, 3, 1, 4, 1, 2]
PLAIN = CaptionSettings()


def examples(buckets: Sequence[int], repeats: Sequence[int], **values: Any) -> list[Example]:
    """Images of buckets of these widths, with captions of ten tags."""
    return [
        Example(
            Item(Path(f"{number}.png"), Wording(("sks", f"n{number}"), tuple("abcdefgh")), 8, 8, times, "g", times),
            Placement((width, 64), (width, 64), (0, 0, width, 64)),
            **values,
        )
        for number, (width, times) in enumerate(zip(buckets, repeats, strict=True))
    ]


def shown(
    what: list[Example], batch_size: int = 1, seed: int = 1, epoch: int = 1, captions: CaptionSettings = PLAIN
) -> list[list[Shown]]:
    return epoch_batches(what, DataSettings(batch_size=batch_size), captions, seed, epoch)


def numbers(batches: list[list[Shown]]) -> list[list[int]]:
    return [[one.example for one in batch] for batch in batches]


def many(captions: CaptionSettings = PLAIN, epochs: Sequence[int] = (1,), **values: Any) -> list[Shown]:
    """All that 100 images of 20 repeats show."""
    what = examples([64] * 100, [20] * 100, **values)
    return [one for epoch in epochs for batch in shown(what, 4, epoch=epoch, captions=captions) for one in batch]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 16, 64])
def test_batches_are_complete_and_of_one_bucket(batch_size: int) -> None:
    what = examples(BUCKETS, REPEATS)
    batches = numbers(shown(what, batch_size))
    assert Counter(index for batch in batches for index in batch) == dict(enumerate(REPEATS))
    assert all(len({BUCKETS[index] for index in batch}) == 1 for batch in batches)
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    smaller = Counter(BUCKETS[batch[0]] for batch in batches if len(batch) < batch_size)
    assert all(count == 1 for count in smaller.values())
    assert len(batches) == steps_per_epoch(what, batch_size)


def test_steps_are_counted_as_kohya_does() -> None:
    # Σ over buckets of ceil(images * repeats / batch): 16/4 + ceil(5/4) + ceil(2/4)
    assert steps_per_epoch(examples(BUCKETS, REPEATS), 4) == 4 + 2 + 1
    assert steps_per_epoch(examples([64] * 20, [10] * 20), 1) == 200
    assert steps_per_epoch([], 4) == 0
    for count, repeats, batch_size in product((1, 7, 20), (1, 3, 10), (1, 4)):
        what = examples([64 + index % 3 for index in range(count)], [repeats] * count)
        assert len(shown(what, batch_size)) == steps_per_epoch(what, batch_size)


def test_order_changes_with_seed_and_epoch_only() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        return numbers(shown(examples(BUCKETS, REPEATS), 2, seed, epoch))

    assert order(42, 1) == order(42, 1) == PINNED_ORDER
    orders = [order(seed, epoch) for seed in (0, 1, 42, 2**32 - 1) for epoch in range(10)]
    assert len({str(one) for one in orders}) == len(orders)


def test_an_image_is_seen_before_any_is_seen_again() -> None:
    [batch] = numbers(shown(examples([64] * 8, [3] * 8), 64, seed=5, epoch=2))
    rounds = [batch[start : start + 8] for start in (0, 8, 16)]
    assert all(sorted(one) == list(range(8)) for one in rounds)
    assert rounds[0] != rounds[1]


def test_nothing_to_train_on() -> None:
    assert shown([], 4) == []


ALL = CaptionSettings(
    shuffle_caption=True, caption_tag_dropout_rate=0.2, caption_dropout_rate=0.3, caption_variants=4, keep_tokens=2
)


def test_how_images_are_shown_is_the_same_everywhere() -> None:
    what = examples([64] * 3, [2] * 3, flips=True)
    found = [(one.example, one.flipped, one.caption) for batch in shown(what, 2, captions=ALL) for one in batch]
    assert found == PINNED_SHOWN
    assert shown(what, 2, captions=ALL, epoch=2) == shown(what, 2, captions=ALL, epoch=2)
    assert shown(what, 2, captions=ALL, epoch=2) != shown(what, 2, captions=ALL, epoch=3)


def test_one_setting_does_not_change_what_another_does() -> None:
    assert [one.example for one in many(ALL, flips=True)] == [one.example for one in many()]
    assert [one.flipped for one in many(ALL, flips=True)] == [one.flipped for one in many(flips=True)]
    empty = [one.caption == "" for one in many(CaptionSettings(caption_dropout_rate=0.3))]
    assert [one.caption == "" for one in many(ALL)] == empty


def test_as_they_are_by_default() -> None:
    assert all(not one.flipped and one.caption == f"sks, n{one.example}, a, b, c, d, e, f, g, h" for one in many())


def test_half_of_them_are_mirrored() -> None:
    assert abs(sum(one.flipped for one in many(flips=True)) / 2000 - 0.5) < 0.056  # five standard deviations


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 1.0])
def test_captions_are_left_out_at_their_rate(rate: float) -> None:
    found = many(CaptionSettings(caption_dropout_rate=rate))
    left_out = sum(one.caption == "" for one in found) / len(found)
    assert abs(left_out - rate) <= 5 * (rate * (1 - rate) / 2000) ** 0.5


def test_every_so_many_epochs_there_are_no_captions() -> None:
    settings = CaptionSettings(caption_dropout_every_n_epochs=3, shuffle_caption=True)
    for epoch in range(1, 10):
        captions = {one.caption == "" for one in many(settings, [epoch])}
        assert captions == {epoch % 3 == 0}  # counted from 1
    every = CaptionSettings(caption_dropout_every_n_epochs=1)
    assert all(one.caption == "" for one in many(every))


def test_versions_of_captions_come_equally_often_and_are_known_beforehand() -> None:
    what = examples([64] * 2, [1000] * 2)
    settings = replace(ALL, caption_dropout_rate=0.1)
    known = texts_of(Dataset(what, []), settings, seed=1)
    counts = Counter(one.caption for epoch in (1, 2) for batch in shown(what, 8, 1, epoch, settings) for one in batch)
    assert set(counts) <= set(known)
    assert len(known) == 1 + 2 + 2 * 4  # none, as written, versions
    assert len(counts) == 1 + 2 * 4
    assert all(390 < count < 510 for text, count in counts.items() if text)  # 450 each, three standard deviations
    assert all(text.startswith("sks, n") for text in counts if text)


def test_regularisation_images_are_marked() -> None:
    what = examples([64] * 3, [1] * 3)
    what[1] = replace(what[1], item=replace(what[1].item, is_reg=True))
    assert {one.example: one.is_reg for batch in shown(what, 3) for one in batch} == {0: False, 1: True, 2: False}


@pytest.mark.parametrize(("ranks", "batch_size"), product((1, 2, 3, 8), (1, 2, 4)))
def test_processes_share_what_one_would_see(ranks: int, batch_size: int) -> None:
    batches = shown(examples(BUCKETS, REPEATS, flips=True), ranks * batch_size, captions=ALL)
    for batch in batches:
        shares = [share(batch, rank, ranks) for rank in range(ranks)]
        assert Counter(one for part in shares for one in part) == Counter(batch)
        assert max(map(len, shares)) <= batch_size
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        if len(batch) == ranks * batch_size:
            assert {len(part) for part in shares} == {batch_size}
        # The mean over a batch is the mean over the processes of their weighted means.
        means = [sum(one.example for one in part) / len(part) if part else 0.0 for part in shares]
        weights = [len(part) * ranks / len(batch) for part in shares]
        together = sum(mean * weight for mean, weight in zip(means, weights, strict=True)) / ranks
        assert together == pytest.approx(sum(one.example for one in batch) / len(batch))
