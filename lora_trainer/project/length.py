"""How long a run of the set as it is would be: the live sentence, and how often each folder is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lora_trainer.dataset.buckets import place_without_upscaling
from lora_trainer.dataset.captions import Wording
from lora_trainer.dataset.checks.balance import Balance, balance
from lora_trainer.dataset.examples import Dataset, held_apart, placed
from lora_trainer.dataset.repeats import read_repeats
from lora_trainer.dataset.scan import Item, equalised, folder_of
from lora_trainer.errors import BadDataset
from lora_trainer.project.images import ImageIndex, look_through
from lora_trainer.project.project import Project
from lora_trainer.project.sizes import Sizes
from lora_trainer.settings import DataSettings, Settings


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
    learnt, held_out = held_apart(_items(project.images(), project.sizes, data), data, settings.training.seed)
    folder = folder_of(data.reg_data_dir)
    own = _items(look_through(folder), project.sizes, replace(data, repeats=1), is_reg=True) if folder else []
    equal = equalised(own, sum(item.repeats for item in learnt))
    return Dataset(placed([*learnt, *equal], data), placed(held_out, replace(data, flip_aug=False)))


def balance_of(project: Project, settings: Settings) -> Balance | None:
    """How long a run would be; None where there is nothing to learn from, or its folders cannot be read."""
    try:
        dataset = dataset_of(project, settings)
    except BadDataset:
        return None
    return balance(dataset, settings) if dataset.learnt else None


def _items(index: ImageIndex, sizes: Sizes, data: DataSettings, *, is_reg: bool = False) -> list[Item]:
    own = _own_repeats(index)
    found = []
    for entry, (width, height) in zip(index.entries, sizes.of(index.paths), strict=True):
        repeats = entry.repeats or data.repeats
        group = entry.folder or index.folder.name or "images"
        item = Item(entry.path, Wording(), width, height, own.get(entry.path, repeats), group, repeats, is_reg)
        found.append(item)
    return _usable(found, data)


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
