"""Images that come and go: what a step added and set aside, taken back and made again to the byte.

Nothing is deleted: images wait in the set's hidden folder (``dataset.bench.derived``), with their captions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_trainer.dataset.bench.derived import REMOVED, batches, bring_back, set_aside
from lora_trainer.dataset.bench.notes import FULL, CannotWrite, Noted, reason
from lora_trainer.dataset.bench.sources import CAPTIONS
from lora_trainer.dataset.repeats import FILE as REPEATS
from lora_trainer.dataset.scan import entries_of
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadDataset
from lora_trainer.project.images import look_through

if TYPE_CHECKING:
    from lora_trainer.project.project import Project

PENDING = "pending.json"  # in the project's folder: a step that is being made
MOST_TEXT = 1_000_000  # bytes of a caption or a list of repeats that the history keeps

Texts = dict[str, "list[str | None]"]  # by file: before and after, None where there is none


@dataclass(frozen=True)
class Snapshot:
    """A set at a moment: its images, its sub-folders, its text files, what its lists of repeats say, and what was set
    aside."""

    images: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    repeats: tuple[tuple[str, bytes], ...] = ()
    aside: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Snapshot:
        """Raises ``BadDataset`` where the folder cannot be read; one that is not there is empty."""
        if not folder.is_dir():
            return cls()
        index = look_through(folder)
        texts, repeats = set[str](), {}
        for file in (file for place in (folder, *index.inner) for file in entries_of(place)):
            name = file.relative_to(folder).as_posix()
            if file.name == REPEATS:
                repeats[name] = _bytes(file)
            elif file.suffix.lower() in CAPTIONS:
                texts.add(name)
        images = frozenset(entry.name for entry in index.entries)
        inner = frozenset(place.name for place in index.inner)
        return cls(images, inner, frozenset(texts), tuple(repeats.items()), tuple(batches(folder)))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        parts = {name: sorted(getattr(self, name)) for name in ("images", "folders", "texts", "aside")}
        return {**parts, "repeats": {name: _text(content) for name, content in self.repeats}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Snapshot:
        """The inverse. Raises ``ValueError``, ``TypeError``, ``LookupError`` or ``AttributeError``."""
        repeats = {name: text.encode("utf-8", "surrogateescape") for name, text in values["repeats"].items()}
        images, folders, texts = (frozenset(values[name]) for name in ("images", "folders", "texts"))
        return cls(images, folders, texts, tuple(repeats.items()), tuple(values["aside"]))


@contextmanager
def noting(project: Project, title: str, values: Mapping[str, Any] | None = None) -> Iterator[None]:
    """All images that come or go within are one step of the history, also where the work fails halfway, and where the
    program ends in the middle of it: ``catch_up`` notes it then.

    ``title`` is the key of its sentence, which gets ``count``: how many images came, or else how many went.
    """
    folder, kept = project.images_folder, project.folder / PENDING
    before = Snapshot.of(folder)
    begun = {"folder": str(folder), "title": title, "values": dict(values or {}), "before": before.to_dict()}
    with project.writing():
        write_whole(kept, json.dumps(begun))
    project.changing = True
    try:
        yield
    finally:
        with suppress(BadDataset):
            _note(project, before, begun)
        project.changing = False
        kept.unlink(missing_ok=True)


def catch_up(project: Project) -> None:
    """Note the step that the program did not live to note."""
    kept = project.folder / PENDING
    if project.changing or not kept.is_file():
        return
    project.changing = True
    try:
        with suppress(OSError, ValueError, TypeError, LookupError, AttributeError, BadDataset):
            begun = json.loads(kept.read_text(encoding="utf-8"))
            if begun["folder"] == str(project.images_folder):
                _note(project, Snapshot.from_dict(begun["before"]), begun)
    finally:
        project.changing = False
        kept.unlink(missing_ok=True)


def _note(project: Project, before: Snapshot, begun: Mapping[str, Any]) -> None:
    """Write down what came and went since ``before``. Raises ``BadDataset``."""
    folder = Path(begun["folder"])
    data = difference(folder, before, Snapshot.of(folder))
    if data:
        count = len(data["added"]) or sum(len(names) for _, names in data["removed"])
        with project.turn:
            project.history.images_changed(begun["title"], {**begun["values"], "count": count}, data)


def difference(folder: Path, before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """What ``take_back`` and ``make_again`` need to know of a step; nothing where nothing came or went."""
    added = sorted(after.images - before.images)
    aside = [batch for batch in after.aside if batch not in before.aside]
    removed = [[batch, _names_in(folder, batch, before.images)] for batch in aside]
    own = {f"{name.rpartition('.')[0]}{ending}" for name in added for ending in CAPTIONS}
    given = {name: _read(folder / name) for name in sorted(after.texts - before.texts - own)}
    texts: Texts = {name: [None, text] for name, text in given.items() if text is not None}
    old, new = dict(before.repeats), dict(after.repeats)
    for name in sorted({*old, *new}):
        both = [old.get(name), new.get(name)]
        if both[0] != both[1] and all(len(text or b"") <= MOST_TEXT for text in both):
            texts[name] = [_text(text) for text in both]
    if not (added or any(names for _, names in removed) or texts):
        return {}
    return {"added": added, "removed": removed, "texts": texts, "made": sorted(after.folders - before.folders)}


def take_back(folder: Path, data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Noted]]:
    """Undo a step: what came is set aside, what went comes back. Raises ``BadDataset``; then all is as it was."""
    unchanged = _unchanged(folder, data["texts"], 1)
    batch = aside(folder, [folder / name for name in data["added"]])
    notes = _returned(folder, [name for name, _ in reversed(data["removed"])], batch)
    _put(folder, unchanged, data["texts"], 0)
    for name in data["made"]:
        with suppress(OSError):
            (folder / name).rmdir()
    return {**data, "aside": batch}, notes


def make_again(folder: Path, data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Noted]]:
    """Do an undone step again. Raises as ``take_back``."""
    unchanged = _unchanged(folder, data["texts"], 0)
    names = [name for _, group in data["removed"] for name in group]
    batch = aside(folder, [folder / name for name in names])
    notes = _returned(folder, [data["aside"]], batch)
    _put(folder, unchanged, data["texts"], 1)
    return {**data, "removed": [[batch, names]] if names else [], "aside": ""}, notes


def aside(folder: Path, images: Sequence[Path]) -> str:
    """Set those of the images aside that are there; "" where none is. Raises ``BadDataset``; then all are there."""
    there = [image for image in images if image.is_file()]
    if not there:
        return ""
    batch = f"{int((batches(folder) or ['0'])[-1]) + 1:06}"
    try:
        return set_aside(folder, there, batch)
    except CannotWrite as error:
        with suppress(CannotWrite, OSError):
            bring_back(folder, batch)
        raise unwritable(folder, error) from error


def unwritable(folder: Path, error: CannotWrite | OSError) -> BadDataset:
    """The error that says that nothing can be written into the set."""
    cause = error.error if isinstance(error, CannotWrite) else error
    key = "set_disk_full" if cause.errno in FULL else "set_unwritable"
    return BadDataset(key, field="images", folder=folder, reason=reason(cause))


def _returned(folder: Path, wanted: Sequence[str], batch: str) -> list[Noted]:
    """Bring batches back; where that fails, the ``batch`` that was set aside for it as well. Raises ``BadDataset``."""
    try:
        return [note for name in wanted if name for note in bring_back(folder, name)]
    except (CannotWrite, OSError) as error:
        with suppress(CannotWrite, OSError):
            if batch:
                bring_back(folder, batch)
        raise unwritable(folder, error) from error


def _unchanged(folder: Path, texts: Mapping[str, Sequence[str | None]], side: int) -> list[str]:
    """The text files that are as the step left them (1) or found them (0): only these are ours to change."""
    return [name for name, both in texts.items() if _read(folder / name) == both[side]]


def _put(folder: Path, names: Sequence[str], texts: Mapping[str, Sequence[str | None]], side: int) -> None:
    """Give text files the bytes that they had before (0) or after (1) the step. Raises ``BadDataset``."""
    try:
        for name in names:
            text, file = texts[name][side], folder / name
            if text is None:
                file.unlink(missing_ok=True)
            elif file.parent.is_dir():
                write_whole(file, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise unwritable(folder, error) from error


def _names_in(folder: Path, batch: str, images: frozenset[str]) -> list[str]:
    """The images of the set that are in a batch."""
    source = folder / REMOVED / batch
    found = (path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    return sorted(name for name in found if name in images)


def _read(file: Path) -> str | None:
    """A text file's content; None where there is none, or none that the history would keep."""
    content = _bytes(file) if file.is_file() else None
    return None if content is None or len(content) > MOST_TEXT else _text(content)


def _bytes(file: Path) -> bytes:
    """Raises ``BadDataset``."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadDataset("caption_unreadable", field="images", name=file.name, reason=reason(error)) from error


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "surrogateescape")
