"""What a run of the set as it is would learn from, without opening its images: the live sentence, the plan, and how
often each folder is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lora_trainer.dataset.buckets import place_without_upscaling
from lora_trainer.dataset.captions import Wording, caption, worded
from lora_trainer.dataset.checks.balance import Balance, balance
from lora_trainer.dataset.examples import Dataset, held_apart, placed
from lora_trainer.dataset.pictures import size_at_head
from lora_trainer.dataset.repeats import read_repeats
from lora_trainer.dataset.scan import Item, equalised, folder_of
from lora_trainer.errors import BadDataset
from lora_trainer.project.images import ImageIndex, look_through
from lora_trainer.project.project import Project
from lora_trainer.project.sizes import Sizes
from lora_trainer.settings import DataSettings, Settings

Words = Mapping[Path, Wording]


@dataclass(frozen=True, slots=True)
class Group:
    """A folder of the set: its name ("" for the set's own), how many images it holds and how often each is seen."""

    path: str
    images: int
    repeats: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"path": self.path, "images": self.images, "repeats": self.repeats}


def groups(index: ImageIndex, data: DataSettings) -> list[Group]:
    """The folders that hold images."""
    counts: dict[str, list[int]] = {}
    for entry in index.entries:
        counts.setdefault(entry.folder, []).append(entry.repeats or data.repeats)
    return [Group(folder, len(repeats), repeats[0]) for folder, repeats in counts.items()]


def dataset_of(project: Project, settings: Settings) -> Dataset:
    """What a run with these settings would learn from, by sizes and repeats alone: no image is decoded, no caption
    read. Images whose head cannot be read, or that are too small, are left out. Raises ``BadDataset``."""
    data = settings.data
    return _placed(project, settings, _usable(_items(project.images(), project.sizes, data), data))


def planned_dataset(project: Project, settings: Settings) -> Dataset:
    """The same with the captions as they are known. Raises ``BadDataset`` also for an image that would stop the run, as
    far as its head shows, and ``BadSettings`` where captions cannot be read in the way that is asked for."""
    data, store = settings.data, project.captions()
    words = {
        image: worded(caption(one.tags if one.content is not None else one.words), data.trigger, settings.captions)
        for one in (store.captions if store else ())
        for image in one.images
    }
    items = _items(project.images(), project.sizes, data, words)
    for item in items:
        if not (item.width and item.height):
            size_at_head(item.path)  # which says why it cannot be read
    return _placed(project, settings, [item for item in items if item.width and item.height])


def _placed(project: Project, settings: Settings, items: list[Item]) -> Dataset:
    data, folder = settings.data, folder_of(settings.data.reg_data_dir)
    learnt, held_out = held_apart(items, data, settings.training.seed)
    single = replace(data, repeats=1)
    own = _usable(_items(look_through(folder), project.sizes, single), single) if folder else []
    own = [replace(item, is_reg=True) for item in own]
    equal = equalised(own, sum(item.repeats for item in learnt))
    return Dataset(placed([*learnt, *equal], data), placed(held_out, replace(data, flip_aug=False)))


def balance_of(project: Project, settings: Settings) -> Balance | None:
    """How long a run would be; None where there is nothing to learn from, or its folders cannot be read."""
    try:
        dataset = dataset_of(project, settings)
    except BadDataset:
        return None
    return balance(dataset, settings) if dataset.learnt else None


def _items(index: ImageIndex, sizes: Sizes, data: DataSettings, words: Words | None = None) -> list[Item]:
    own = _own_repeats(index)
    found = []
    for entry, (width, height) in zip(index.entries, sizes.of(index.paths), strict=True):
        repeats = entry.repeats or data.repeats
        group = entry.folder or index.folder.name or "images"
        wording = words.get(entry.path, Wording()) if words else Wording()
        found.append(Item(entry.path, wording, width, height, own.get(entry.path, repeats), group, repeats))
    return found


def _usable(items: Sequence[Item], data: DataSettings) -> list[Item]:
    """Those that the training would take."""
    known = [item for item in items if item.width and item.height]
    if not (data.enable_bucket and data.bucket_no_upscale):
        return known
    return [item for item in known if place_without_upscaling((item.width, item.height), data)]


def _own_repeats(index: ImageIndex) -> dict[Path, int]:
    """The images with a number of their own. Raises ``BadDataset`` where a list of repeats is wrong."""
    found: dict[Path, int] = {}
    folders: dict[Path, list[Path]] = {}
    for entry in index.entries:
        folders.setdefault(entry.path.parent, []).append(entry.path)
    for folder, images in folders.items():
        found.update({folder / name: number for name, number in read_repeats(folder, images).items()})
    return found
