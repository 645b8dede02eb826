"""The images of a set by their ids: listed anew only where a folder has changed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lora_trainer.dataset.scan import entries_of, images_among, sub_folders
from lora_trainer.errors import Unknown


@dataclass(frozen=True, slots=True)
class Entry:
    """An image of the set. ``name`` is its path below the set's folder with slashes, ``folder`` its sub-folder's name
    ("" for the set's own folder), ``repeats`` that folder's number (0 for the set's own, which is a setting)."""

    id: str
    path: Path
    name: str
    folder: str
    repeats: int


@dataclass(frozen=True)
class ImageIndex:
    """All images of the set ``folder`` that training would find, in its order: the folder's own, then those of its
    ``N_name`` sub-folders, which ``inner`` names whether they hold any or not. Empty where there is no folder."""

    folder: Path
    entries: tuple[Entry, ...] = ()
    inner: tuple[Path, ...] = ()

    def get(self, image_id: str) -> Entry:
        """The image of that id. Raises ``Unknown``."""
        try:
            return self._by_id[image_id]
        except KeyError:
            raise Unknown("image_unknown") from None

    def has(self, image_id: str) -> bool:
        """Whether there is an image of that id."""
        return image_id in self._by_id

    def chosen(self, image_ids: Iterable[str]) -> list[Entry]:
        """The images of these ids, in the set's order. Raises ``Unknown``."""
        wanted = {self.get(image_id).id for image_id in image_ids}
        return [entry for entry in self.entries if entry.id in wanted]

    def of(self, path: Path) -> Entry | None:
        """The image that lies at ``path`` (as ``folder`` is spelt)."""
        return self._by_path.get(path)

    @property
    def paths(self) -> list[Path]:
        """Where they lie."""
        return [entry.path for entry in self.entries]

    @cached_property
    def _by_id(self) -> dict[str, Entry]:
        return {entry.id: entry for entry in self.entries}

    @cached_property
    def _by_path(self) -> dict[Path, Entry]:
        return {entry.path: entry for entry in self.entries}


def image_id(name: str) -> str:
    """The id of the image that is called ``name`` below the set's folder: 16 hexadecimal digits."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def look_through(folder: Path) -> ImageIndex:
    """The images in ``folder``. Raises ``BadDataset`` where it or a sub-folder cannot be read."""
    entries = entries_of(folder)
    found, inner = _entries(images_among(entries), "", 0), sub_folders(entries)
    for source in inner:
        found += _entries(source.images, source.folder.name, source.repeats)
    return ImageIndex(folder, tuple(found), tuple(source.folder for source in inner))


Stamps = dict[Path, int]
COARSE_NS = 2_000_000_000  # some file systems tell times to two seconds: a younger change may not be the last


def folder_stamps(index: ImageIndex) -> Stamps:
    """When the set's folders were last changed, in ns; 0 for one that is gone."""
    return {folder: _changed(folder) for folder in (index.folder, *index.inner)}


def settled(stamps: Stamps) -> bool:
    """Whether the folders were left alone for long enough that their times tell."""
    return max(stamps.values()) < time.time_ns() - COARSE_NS


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _entries(images: Sequence[Path], folder: str, repeats: int) -> list[Entry]:
    names = [f"{folder}/{image.name}" if folder else image.name for image in images]
    return [Entry(image_id(name), image, name, folder, repeats) for image, name in zip(images, names, strict=True)]
