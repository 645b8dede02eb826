"""Which images of a set were made from which, and taking images out of a set so that they can come back.

A derived image is known by its content: one that was edited since is nobody's any more, and is never taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lora_trainer.dataset.bench.importing import OURS
from lora_trainer.dataset.bench.notes import Noted, shown, writing
from lora_trainer.dataset.bench.sources import CAPTIONS, is_file, walk
from lora_trainer.dataset.cache import file_hash
from lora_trainer.dataset.pictures import SUFFIXES
from lora_trainer.dataset.repeats import folder_repeats, read_repeats, set_repeats
from lora_trainer.errors import BadDataset

RECORD = f"{OURS}/derived.jsonl"  # a line an image, only ever added to
REMOVED = f"{OURS}/removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """An image made from another of the set: both by content (SHA-256) and by path below the set's folder.

    ``how`` names the recipe, ``box`` is the part of the upright parent that it shows.
    """

    digest: str
    path: str
    parent_digest: str
    parent: str
    how: str
    box: tuple[int, ...]


def record(folder: Path, derived: Derived) -> None:
    """Remember an image that is about to be written. Raises ``CannotWrite``."""
    file = folder / RECORD
    writing(file.parent.mkdir, parents=True, exist_ok=True)
    writing(_append, file, json.dumps(asdict(derived), ensure_ascii=True) + "\n")


def derived_in(folder: Path) -> list[Derived]:
    """The derived images of the set that are there, unchanged or not; lines that were broken off are passed over."""
    found = {one.digest: one for one in _recorded(folder)}
    return [one for one in found.values() if _is_within(one.path) and is_file(folder / one.path)]


def origins_in(folder: Path) -> dict[Path, Path]:
    """Each image that was made from another, with the first of its line: of a crop's mirror image, what was cropped.

    By name alone, also where an image of the line is gone or was edited since.
    """
    parents = {one.path: one.parent for one in _recorded(folder)}
    found = {}
    for path in parents:
        line = [path]
        while (parent := parents.get(line[-1])) and parent not in line:
            line.append(parent)
        found[folder / path] = folder / line[-1]
    return found


def originals_in(folder: Path) -> list[Path]:
    """The images of the set that were not made from others, sorted."""
    made = {folder / one.path for one in derived_in(folder)}
    return [path for path in images_in(folder) if path not in made]


def images_in(folder: Path) -> list[Path]:
    """All images in the folder and below it, sorted, links and hidden files apart."""
    found = (entries for _, entries in walk(folder) if not isinstance(entries, Noted))
    return [entry for entries in found for entry in entries if entry.suffix.lower() in SUFFIXES and is_file(entry)]


def descendants(folder: Path, parents: Iterable[Path]) -> list[Derived]:
    """What was made from these images, and from that in turn."""
    everything = derived_in(folder)
    paths = {path.relative_to(folder).as_posix() for path in parents}
    digests = {file_hash(folder / path) for path in paths if is_file(folder / path)}
    found: dict[str, Derived] = {}
    while more := [
        one for one in everything if one.digest not in found and (one.parent_digest in digests or one.parent in paths)
    ]:
        found.update({one.digest: one for one in more})
        digests, paths = {one.digest for one in more}, {one.path for one in more}
    return list(found.values())


def remove_derived(folder: Path, chosen: Sequence[Derived]) -> Iterator[Noted | str]:
    """Take derived images out of the set, with their captions; a note for each that was changed and is kept.

    At last the name under which ``bring_back`` brings them back. Raises ``CannotWrite``.
    """
    going = []
    for one in chosen:
        path = folder / one.path
        if is_file(path) and file_hash(path) == one.digest:
            going.append(path)
        elif is_file(path):
            yield Noted(key="changed", name=shown(one.path))
    yield set_aside(folder, going)


def remove_images(folder: Path, images: Sequence[Path]) -> Iterator[Noted | str]:
    """Take images out of the set and with them what was made from them, as ``remove_derived`` does."""
    gone = set(images)
    children = [one for one in descendants(folder, images) if folder / one.path not in gone]
    unchanged = []
    for one in children:
        if file_hash(folder / one.path) == one.digest:
            unchanged.append(folder / one.path)
        else:
            yield Noted(key="changed", name=shown(one.path))
    yield set_aside(folder, [*images, *unchanged])


def set_aside(folder: Path, images: Sequence[Path], batch: str | None = None) -> str:
    """Move images with their captions and their own repeats where nothing is learnt from; nothing is deleted.

    The name of the batch that they are in. Raises ``CannotWrite``.
    """
    batch = batch or _next_batch(folder)
    for image in images:
        target = folder / REMOVED / batch / image.relative_to(folder)
        writing(target.parent.mkdir, parents=True, exist_ok=True)
        _move_repeats(image, target)
        for file in (*_captions(image), image):
            writing(file.replace, target.with_name(file.name))
    return batch


def bring_back(folder: Path, batch: str) -> list[Noted]:
    """Undo ``set_aside``: what was moved lies where it lay. A note for each whose place is taken. Raises
    ``CannotWrite``."""
    notes, source = [], folder / REMOVED / batch
    for image in images_in(source):
        target = folder / image.relative_to(source)
        files = [*_captions(image), image]
        if any(target.with_name(file.name).exists() for file in files):
            where = shown(str(source))
            notes.append(Noted(key="place_taken", name=shown(target.name), values={"folder": where}))
            continue
        writing(target.parent.mkdir, parents=True, exist_ok=True)
        for file in files:
            writing(file.replace, target.with_name(file.name))
        _move_repeats(image, target)
    for place in sorted((path for path in source.rglob("*") if path.is_dir()), reverse=True):
        _drop(place)
    _drop(source)
    return notes


def batches(folder: Path) -> list[str]:
    """What was set aside, oldest first."""
    place = folder / REMOVED
    return sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []


def _recorded(folder: Path) -> Iterator[Derived]:
    """What the record tells, the oldest first, with paths as they are now: repeats rename sub-folders."""
    file = folder / RECORD
    if not file.is_file():
        return
    named = [(entry.name, found[1]) for entry in folder.iterdir() if (found := folder_repeats(entry.name))]

    def now(path: str) -> str:
        inner, _, name = path.partition("/")
        known = folder_repeats(inner)
        if not (name and known) or not _is_within(path) or (folder / path).exists():
            return path
        others = (f"{other}/{name}" for other, words in named if words == known[1])
        return next((other for other in others if (folder / other).exists()), path)

    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
            paths = {"path": now(values["path"]), "parent": now(values["parent"])}
            yield Derived(**{**values, **paths, "box": tuple(values["box"])})
        except (ValueError, TypeError, KeyError, AttributeError):
            continue


def _next_batch(folder: Path) -> str:
    return f"{int((batches(folder) or ['0'])[-1]) + 1:06}"


def _captions(image: Path) -> list[Path]:
    """The captions beside an image that are its own."""
    alike = (image.with_name(image.stem + suffix) for suffix in SUFFIXES if suffix != image.suffix.lower())
    files = (image.with_name(image.stem + ending) for ending in CAPTIONS)
    return [] if any(other.is_file() for other in alike) else [file for file in files if file.is_file()]


def _move_repeats(image: Path, target: Path) -> None:
    """Carry an image's own number from the list in its folder to that in the other."""
    folder = image.parent
    try:
        names = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
        number = read_repeats(folder, [*names, image]).get(image.name)
    except BadDataset:
        return
    if number is not None:
        writing(set_repeats, target.parent, {target.name: number})
        writing(set_repeats, folder, {image.name: None})


def _append(file: Path, line: str) -> None:
    with file.open("a", encoding="utf-8", newline="\n") as opened:
        opened.write(line)


def _is_within(path: str) -> bool:
    """Whether a path from the record stays in the set, whoever wrote it."""
    parts = Path(path).parts
    return not Path(path).is_absolute() and ".." not in parts and bool(parts)


def _drop(place: Path) -> None:
    """Take away a folder that is empty."""
    if not any(place.iterdir()):
        place.rmdir()
