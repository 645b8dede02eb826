"""What a folder of images holds: one ``Item`` an image, with its caption and how often it is seen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.dataset.captions import read_caption, tags, with_trigger
from lora_trainer.dataset.pictures import size_of
from lora_trainer.errors import BadDataset
from lora_trainer.settings import DataSettings

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MAX_REPEATS = 1000  # so that "2024_holiday" is no folder of 2024 repeats
NAMED = 5  # how many of the things found in a folder without images are named


@dataclass(frozen=True, slots=True)
class Item:
    """A training image: its upright size, its final caption, its repeats in an epoch, its folder's name."""

    path: Path
    caption: str
    width: int
    height: int
    repeats: int
    group: str


@dataclass(frozen=True, slots=True)
class _Source:
    """A folder whose images count: ``words`` are the caption where an image has none."""

    images: list[Path]
    repeats: int
    words: str
    group: str


def scan(data: DataSettings) -> list[Item]:
    """The images in the folder ``data.images`` itself, then those in its ``N_name class`` sub-folders, sorted by name.

    Every image is decoded, so that a damaged one is found now. Raises ``BadDataset``.
    """
    name = data.images.strip().strip('"')  # Windows copies paths with quotes
    if not name:
        raise BadDataset("folder_unset", field="images")
    folder = Path(name).absolute()
    entries = _entries(folder)
    if not entries:
        raise BadDataset("folder_empty", field="images", folder=folder)
    sources = [_Source(_images(entries), data.repeats, "", folder.resolve().name or "images"), *_sub_folders(entries)]
    items = [_item(image, source, data.trigger) for source in sources for image in source.images]
    if not items:
        found = ", ".join(entry.name for entry in entries[:NAMED]) + (" …" if len(entries) > NAMED else "")
        raise BadDataset("no_images", field="images", folder=folder, found=found)
    return items


def tag_frequency(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """How many images of each group have each tag, lower-cased (kohya's ``ss_tag_frequency``)."""
    counts: dict[str, Counter[str]] = {}
    for item in items:
        counts.setdefault(item.group, Counter()).update(tag.lower() for tag in tags(item.caption))
    return {group: dict(counter) for group, counter in counts.items()}


def dataset_dirs(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Repeats and number of images of each group (kohya's ``ss_dataset_dirs``)."""
    images = Counter(item.group for item in items)
    repeats = {item.group: item.repeats for item in items}
    return {group: {"n_repeats": repeats[group], "img_count": count} for group, count in images.items()}


def _entries(folder: Path) -> list[Path]:
    """What lies in the folder and is not hidden, in an order that no locale or file system changes."""
    try:
        found = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise BadDataset("folder_missing", field="images", folder=folder) from error
    except NotADirectoryError as error:
        raise BadDataset("folder_is_file", field="images", folder=folder) from error
    except (OSError, ValueError) as error:  # no permission, a drive that is gone, characters no path can have
        raise BadDataset("folder_unreadable", field="images", folder=folder, reason=error) from error
    return sorted(found, key=lambda entry: (entry.name.casefold(), entry.name))


def _images(entries: Sequence[Path]) -> list[Path]:
    """The image files among ``entries``."""
    return [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]


def _sub_folders(entries: Sequence[Path]) -> list[_Source]:
    """Kohya's sub-folders among ``entries``: ``20_name class`` is seen 20 times and captioned "name class"."""
    sources = []
    for entry in entries:
        match = re.fullmatch(r"([0-9]+)_(.*)", entry.name)
        if match and 1 <= int(match[1]) <= MAX_REPEATS and entry.is_dir():
            sources.append(_Source(_images(_entries(entry)), int(match[1]), match[2], entry.name))
    return sources


def _item(image: Path, source: _Source, trigger: str) -> Item:
    """The item of one image file; its caption is in the text file of the same name, if there is one."""
    text_file = image.with_suffix(".txt")
    text = read_caption(text_file) if text_file.is_file() else source.words
    width, height = size_of(image)
    return Item(image, with_trigger(text, trigger), width, height, source.repeats, source.group)
