"""What was dropped, one by one: images from files, folders and archives, with the captions that belong to them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from lora_trainer.dataset.bench.notes import Noted, reason, shown, told
from lora_trainer.dataset.pictures import SUFFIXES
from lora_trainer.dataset.repeats import FILE as REPEATS
from lora_trainer.dataset.repeats import folder_repeats, read_repeats
from lora_trainer.errors import BadDataset

CAPTIONS = (".txt", ".caption")
MAC_RUBBISH = "__MACOSX"  # what the Finder puts into archives: shadows of the images

Opener = Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Incoming:
    """An image that is offered: its file name, kohya's folder that it lies in (or ""), its captions by their ending.

    ``origin`` is what a user is told of it, ``repeats`` its own number where it has one.
    """

    name: str
    group: str
    origin: str
    open: Opener
    captions: Mapping[str, Opener] = field(default_factory=dict)
    repeats: int | None = None


@dataclass(slots=True)
class Others:
    """Files that are neither images nor captions of any: they are left where they are."""

    names: list[str] = field(default_factory=list)

    def note(self, most: int = 5) -> Noted | None:
        """One sentence for all of them."""
        if not self.names:
            return None
        found = ", ".join(shown(name) for name in self.names[:most]) + (" …" if len(self.names) > most else "")
        return Noted(key="others", name=found, values={"count": len(self.names)})


def group_of(folders: Sequence[str]) -> str:
    """The nearest folder with a name of kohya's, which keeps its repeats in the set; "" for the set's own folder."""
    return next((name for name in reversed(folders) if folder_repeats(name)), "")


def from_files(files: Sequence[Path], others: Others) -> Iterator[Incoming]:
    """Files that were dropped: a caption counts where it lies beside its image or was dropped along with it."""
    dropped = {(file.stem, file.suffix.lower()): file for file in files if file.suffix.lower() in CAPTIONS}
    used: set[Path] = set()
    for file in files:
        if file.suffix.lower() not in SUFFIXES:
            continue
        beside = {ending: file.with_name(file.stem + ending) for ending in CAPTIONS}
        along = {ending: dropped.get((file.stem, ending)) for ending in CAPTIONS}
        own = {
            ending: path
            for ending in CAPTIONS
            if (path := beside[ending] if beside[ending].is_file() else along[ending])
        }
        used.update(own.values())
        yield Incoming(file.name, "", shown(file.name), partial(_binary, file), _openers(own))
    others.names += [file.name for file in files if file.suffix.lower() not in SUFFIXES and file not in used]


def from_folder(root: Path, others: Others, apart: Path) -> Iterator[Incoming | Noted]:
    """The images in a folder and all below it, but not in the folder ``apart``, which they are to go to."""
    for folder, entries in walk(root, apart):
        if isinstance(entries, Noted):
            yield entries
            continue
        files = {entry.name: entry for entry in entries if is_file(entry)}
        for entry in entries:
            if entry.name not in files and not is_folder(entry):
                yield Noted(key="not_a_file", name=shown(str(entry.relative_to(root))))
        images = [file for file in files.values() if file.suffix.lower() in SUFFIXES]
        try:
            numbers = read_repeats(folder, images)
        except BadDataset as error:
            numbers = {}
            yield told(error, shown(str(folder)))
        group = group_of([root.resolve().name, *folder.relative_to(root).parts])
        used = {REPEATS} if numbers else set()
        for image in images:
            own = {ending: files[name] for ending in CAPTIONS if (name := image.stem + ending) in files}
            used |= {image.name, *(file.name for file in own.values())}
            origin = shown(str(image.relative_to(root)))
            opener = partial(_binary, image)
            yield Incoming(image.name, group, origin, opener, _openers(own), numbers.get(image.name))
        others.names += [name for name in files if name not in used]


def walk(root: Path, apart: Path | None = None) -> Iterator[tuple[Path, list[Path] | Noted]]:
    """Each folder from ``root`` downwards with what lies in it, sorted and without what is hidden, or with what is
    wrong.

    Links are followed, but no folder is entered twice: a loop of links ends where it closes.
    """
    seen = {_identity(apart)} if apart and is_folder(apart) else set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            identity = _identity(folder)
            with os.scandir(folder) as found:
                names = [entry.name for entry in found]
        except OSError as error:
            yield folder, Noted(key="folder_unreadable", name=shown(str(folder)), values={"reason": reason(error)})
            continue
        if identity in seen:
            if folder.is_symlink():
                yield folder, Noted(key="loop", name=shown(str(folder)))
            continue
        seen.add(identity)
        wanted = [name for name in names if not name.startswith(".") and name != MAC_RUBBISH]
        entries = [folder / name for name in sorted(wanted, key=lambda name: (name.casefold(), name))]
        yield folder, entries
        waiting += [entry for entry in reversed(entries) if is_folder(entry)]


def is_file(path: Path) -> bool:
    """Whether there is a file that can be read like one: no pipe, no link that leads nowhere or to itself."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: Path) -> bool:
    """Whether there is a folder."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    """What lies there; 0 where nothing can be told of it, such as behind a name that is too long."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def _identity(folder: Path) -> tuple[int, int]:
    """What stays the same by whatever way a folder is reached."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _openers(files: Mapping[str, Path]) -> dict[str, Opener]:
    return {ending: partial(_binary, file) for ending, file in files.items()}


def _binary(file: Path) -> IO[bytes]:
    return file.open("rb")
