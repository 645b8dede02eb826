"""What a run learns from and what it is measured with: images and where they go. The same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lora_trainer.dataset.bench.derived import origins_in
from lora_trainer.dataset.buckets import Placement, Size, bucket_limits, bucket_sizes, place, place_without_upscaling
from lora_trainer.dataset.captions import variants
from lora_trainer.dataset.chance import generator, shuffled
from lora_trainer.dataset.scan import Item, equalised, folder_of, scan, scan_regularisation
from lora_trainer.errors import BadDataset
from lora_trainer.settings import CaptionSettings, DataSettings

FEWEST_TO_SPLIT = 5  # with fewer images each one is worth more to learn from than to measure with

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """An image and where it goes; ``flips`` says that its mirror image is learnt from too, ``background`` is the colour
    behind what is transparent."""

    item: Item
    placement: Placement
    flips: bool = False
    background: str = "white"

    @property
    def bucket(self) -> Size:
        """Width and height of its bucket; only examples of one bucket share a batch."""
        return self.placement.bucket

    def sizes(self, flipped: bool = False) -> tuple[int, int, int, int, int, int]:
        """What SDXL is told of a picture's size (arXiv 2307.01952 §2.2): the original height and width, what was cut
        off at the top and left of the resized image, the height and width that are left.

        Of a mirrored image, what was cut off at the right is at the left.
        """
        left, top, right, _ = self.placement.crop
        width, height = self.bucket
        cut = self.placement.resize[0] - right if flipped else left
        return self.item.height, self.item.width, top, cut, height, width


@dataclass(frozen=True, slots=True)
class Dataset:
    """The examples of a run: ``learnt`` are training images, then regularisation images."""

    learnt: list[Example]
    held_out: list[Example]

    @property
    def examples(self) -> list[Example]:
        """All of them, the held-out ones last."""
        return [*self.learnt, *self.held_out]


def gather(data: DataSettings, captions: CaptionSettings, seed: int) -> Dataset:
    """All images of the settings, placed. Regularisation images are as many as training images in an epoch, and are
    never held out; what is held out is never mirrored.

    Raises ``BadDataset`` and ``BadSettings``.
    """
    learnt, held_out = held_apart(scan(data, captions), data, seed)
    regularisation = equalised(scan_regularisation(data, captions), sum(item.repeats for item in learnt))
    return Dataset(placed([*learnt, *regularisation], data), placed(held_out, replace(data, flip_aug=False)))


def held_apart(items: Sequence[Item], data: DataSettings, seed: int) -> tuple[list[Item], list[Item]]:
    """Items to train on and items held out; what was made from one image (crops, mirror images, faces) stays with it.

    Otherwise an image would be measured of which a part was learnt.
    """
    folder = folder_of(data.images)
    origin = origins_in(folder) if folder else {}
    return split(items, data.validation_split, seed, lambda item: origin.get(item.path, item.path))


def split(
    items: Sequence[T], share: float, seed: int, family: Callable[[T], Hashable] | None = None
) -> tuple[list[T], list[T]]:
    """Items to train on and items held out, both in their given order; those of one ``family`` stay together.

    Held out are ``share`` of them, at least 1; none when ``share`` is 0 or there are fewer than 5 families. Where no
    choice of families comes to that number, it is missed by as little as the chance of the seed allows.
    """
    families: dict[Hashable, list[int]] = {}
    for index, item in enumerate(items):
        families.setdefault(family(item) if family else index, []).append(index)
    if share <= 0 or len(families) < FEWEST_TO_SPLIT:
        return list(items), []
    count = max(1, round(share * len(items)))
    drawn = shuffled(list(families.values()), generator(seed))
    held_out = set[int]()
    for members in drawn:
        if len(held_out) + len(members) <= count:
            held_out.update(members)
    if not held_out:
        smallest = min(drawn, key=len)
        held_out.update(smallest)
    train = [item for index, item in enumerate(items) if index not in held_out]
    return train, [items[index] for index in sorted(held_out)]


def placed(items: Sequence[Item], data: DataSettings) -> list[Example]:
    """Every item with its place in the buckets of ``data``. Raises ``BadDataset`` for an image too small for any."""
    if data.enable_bucket and data.bucket_no_upscale:
        return [Example(item, _shrunk_only(item, data), data.flip_aug, data.background) for item in items]
    sizes = bucket_sizes(data)
    return [Example(item, place((item.width, item.height), sizes), data.flip_aug, data.background) for item in items]


def texts_of(dataset: Dataset, captions: CaptionSettings, seed: int) -> list[str]:
    """All that the text encoder may be asked for, once each: the empty caption that stands for "no prompt", every
    caption as it is written, and the versions that are learnt."""
    written = [example.item.caption for example in dataset.examples]
    versions = [text for example in dataset.learnt for text in variants(example.item.wording, captions, seed)]
    return list(dict.fromkeys(["", *written, *versions]))


def _shrunk_only(item: Item, data: DataSettings) -> Placement:
    placement = place_without_upscaling((item.width, item.height), data)
    if placement is None:
        step, size = bucket_limits(data)[2], f"{item.width} × {item.height}"
        raise BadDataset("image_too_small", field="bucket_no_upscale", name=item.path.name, size=size, step=step)
    return placement
