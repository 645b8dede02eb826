"""In which batches and order an epoch shows the images, and how: mirrored, with which caption. The same on every
machine."""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from lora_trainer.dataset.captions import variants
from lora_trainer.dataset.chance import generator, shuffled
from lora_trainer.dataset.examples import Example
from lora_trainer.settings import CaptionSettings, DataSettings


@dataclass(frozen=True, slots=True)
class Shown:
    """One image in one batch: the example's number, whether it is mirrored, what the model is told of it."""

    example: int
    flipped: bool
    caption: str
    is_reg: bool = False


def epoch_batches(
    examples: Sequence[Example], data: DataSettings, captions: CaptionSettings, seed: int, epoch: int
) -> list[list[Shown]]:
    """The batches of an epoch (counted from 1), a function of nothing but the arguments.

    A batch has one bucket; a bucket's last one may be smaller, none is dropped. Repeats come in rounds: an image meets
    itself in a batch only where rounds join. Captions are among ``texts_of``.
    """
    order = _order([e.bucket for e in examples], [e.item.repeats for e in examples], data.batch_size, (seed, epoch))
    versions = [variants(example.item.wording, captions, seed) for example in examples]
    every, chance = captions.caption_dropout_every_n_epochs, generator(seed, epoch, "shown")
    without = 1.0 if every and epoch % every == 0 else captions.caption_dropout_rate
    return [[_show(index, examples[index], versions[index], without, chance) for index in batch] for batch in order]


def steps_per_epoch(examples: Sequence[Example], batch_size: int) -> int:
    """The number of batches in an epoch, without making them."""
    seen: dict[Hashable, int] = {}
    for example in examples:
        seen[example.bucket] = seen.get(example.bucket, 0) + example.item.repeats
    return sum(math.ceil(count / batch_size) for count in seen.values())


def share(batch: Sequence[Shown], rank: int, ranks: int) -> list[Shown]:
    """What process ``rank`` of ``ranks`` sees of a batch that was made for all of them: ``ranks`` times as large as one
    process can hold.

    Where a bucket ran out the shares differ by one and some may be empty. For the same gradient as one process that
    sees the whole batch, weigh a share's mean loss by ``len(share) * ranks / len(batch)`` before averaging over the
    processes.
    """
    return list(batch[rank::ranks])


def _order(
    buckets: Sequence[Hashable], repeats: Sequence[int], batch_size: int, seeds: tuple[int, int]
) -> list[list[int]]:
    """The batches as example numbers: example ``i`` of bucket ``buckets[i]`` comes ``repeats[i]`` times."""
    chance = generator(*seeds)
    batches: list[list[int]] = []
    for bucket in dict.fromkeys(buckets):
        members = [index for index, its_bucket in enumerate(buckets) if its_bucket == bucket]
        rounds = range(max(repeats[index] for index in members))
        order = [i for turn in rounds for i in shuffled([m for m in members if repeats[m] > turn], chance)]
        batches += [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return shuffled(batches, chance)


def _show(index: int, example: Example, versions: Sequence[str], without: float, chance: random.Random) -> Shown:
    """How an image is shown this time. Always three draws, so that one setting does not change what another does."""
    mirror, leave_out, version = chance.random(), chance.random(), chance.random()
    caption = "" if leave_out < without else versions[int(version * len(versions))]
    return Shown(index, example.flips and mirror < 0.5, caption, example.item.is_reg)
