"""Files, folders and archives into a set: copied whole or not at all, captions with them, nothing overwritten."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from PIL import Image

from lora_trainer.dataset.bench.archives import UNREADABLE, Limits, from_archive
from lora_trainer.dataset.bench.naming import Stems, safe_stem, series
from lora_trainer.dataset.bench.notes import CannotWrite, Made, Noted, Stop, controls, never, reason, shown, writing
from lora_trainer.dataset.bench.sources import (
    Incoming,
    Opener,
    Others,
    from_files,
    from_folder,
    is_file,
    is_folder,
    walk,
)
from lora_trainer.dataset.cache import file_hash
from lora_trainer.dataset.pictures import SUFFIXES, size_of
from lora_trainer.dataset.repeats import folder_repeats, set_repeats
from lora_trainer.errors import BadDataset
from lora_trainer.events import Event, Progress

OURS = ".lora_trainer"  # in a set: what the bench keeps about it; hidden, so that nothing of it is taken for an image
CHUNK = 1 << 20
MOST_IMAGE, MOST_CAPTION = 2 << 30, 16 << 20  # bytes
ARCHIVE = ".zip"
T = TypeVar("T")


class _Unusable(Exception):
    """An image that is not imported, and what a user is told of it."""

    def __init__(self, note: Noted) -> None:
        super().__init__(note.key)
        self.note = note


@dataclass(slots=True)
class _Tally:
    images: list[str] = field(default_factory=list)
    known: int = 0
    outcome: str = "finished"
    repeats: dict[Path, dict[str, int | None]] = field(default_factory=dict)

    def made(self) -> Made:
        return Made(images=tuple(self.images), known=self.known, outcome=self.outcome)


def import_images(
    sources: Sequence[Path], folder: Path, stop: Stop = never, limits: Limits | None = None
) -> Iterator[Event]:
    """Copy the images in ``sources`` (files, folders, ZIP archives) with their captions into the set ``folder``.

    Yields ``Progress``, a ``Noted`` for each thing that cannot be used and at last ``Made``. What is in folders of
    kohya's kind (``20_name``) goes to such folders of the set, all else into the set's own. An image that is there
    already under its name is not copied again; a name that is taken by another gets a number. Called again after a
    stop, it goes on.
    """
    tally = _Tally()
    with ExitStack() as stack:
        try:
            desk = _Desk(folder)
            stack.callback(desk.clear)
            others = Others()
            found = list(_until(stop, tally, _gathered(sources, folder, (others, limits or Limits()), stack)))
            yield from (note for note in found if isinstance(note, Noted))
            yield from _copied([one for one in found if isinstance(one, Incoming)], desk, tally, stop)
            desk.set_repeats(tally)
            if note := others.note():
                yield note
        except CannotWrite as error:
            tally.outcome = "failed"
            yield error.note(folder)
    yield tally.made()


def use_in_place(folder: Path, stop: Stop = never) -> Iterator[Event]:
    """Look through a folder that is to be the set as it lies; nothing in it is changed.

    Yields what ``import_images`` does: the images of ``Made`` are those that can be read and will be seen.
    """
    tally, unseen = _Tally(), dict[str, int]()
    images: list[Path] = []
    for place, entries in walk(folder):
        if isinstance(entries, Noted):
            yield entries
            continue
        own = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
        if place == folder or (place.parent == folder and folder_repeats(place.name)):
            images += own
        elif own:
            unseen[shown(str(place.relative_to(folder)))] = len(own)
    yield from (Noted(key="unseen", name=name, values={"count": count}) for name, count in unseen.items())
    for done, image in enumerate(_until(stop, tally, images), start=1):
        name = image.relative_to(folder).as_posix()
        try:
            _check(image, shown(name))
            tally.images.append(name)
        except _Unusable as error:
            yield error.note
        if any(controls(letter) for letter in image.name):
            yield Noted(key="awkward_name", name=shown(name))
        yield Progress(stage="importing", done=done, total=len(images))
    yield tally.made()


def _gathered(
    sources: Sequence[Path], folder: Path, how: tuple[Others, Limits], stack: ExitStack
) -> Iterator[Incoming | Noted]:
    """All that is offered. Raises nothing."""
    others, limits = how
    files: list[Path] = []
    for source in sources:
        if is_folder(source) and folder.resolve() == source.resolve():
            yield Noted(key="same_folder", name=shown(str(source)))
        elif is_folder(source):
            yield from from_folder(source, others, folder)
        elif not is_file(source):
            yield Noted(key="missing", name=shown(str(source)))
        elif source.suffix.lower() == ARCHIVE:
            yield from from_archive(source, limits, others, stack)
        else:
            files.append(source)
    yield from from_files(files, others)


def _until(stop: Stop, tally: _Tally, found: Iterable[T]) -> Iterator[T]:
    for one in found:  # there may be very many
        if stop():
            tally.outcome = "stopped"
            return
        yield one


def _copied(incoming: Sequence[Incoming], desk: _Desk, tally: _Tally, stop: Stop) -> Iterator[Event]:
    """Copy one image after the other."""
    yield Progress(stage="importing", done=0, total=len(incoming))
    for done, one in enumerate(_until(stop, tally, incoming), start=1):
        try:
            path, new = desk.take(one)
        except _Unusable as error:
            yield error.note
        else:
            if new:
                tally.images.append(path.relative_to(desk.folder).as_posix())
            else:
                tally.known += 1
            if one.repeats is not None:
                tally.repeats.setdefault(path.parent, {})[path.name] = one.repeats
            if new and safe_stem(stem := _stem(one.name)) != stem:
                yield Noted(key="renamed", name=one.origin, values={"new": path.name})
        yield Progress(stage="importing", done=done, total=len(incoming))


class _Desk:
    """Where images are looked at before they enter the set, and what the set holds by then."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._scratch = folder, folder / OURS / "incoming"
        self._stems: dict[Path, Stems] = {}
        self._unread: dict[tuple[Path, str, int], list[Path]] = {}  # by folder, series of names and size
        self._content: dict[tuple[Path, str, str], list[Path]] = {}  # by folder, series of names and hash
        writing(self._scratch.mkdir, parents=True, exist_ok=True)

    def clear(self) -> None:
        """Take away what was not finished."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def take(self, one: Incoming) -> tuple[Path, bool]:
        """Where the image is in the set, and whether it is new. Raises ``_Unusable`` and ``CannotWrite``."""
        copy = self._scratch / f"image{Path(one.name).suffix.lower()}"
        digest = _copy(one.open, copy, one.origin)
        _check(copy, one.origin)
        texts = {ending: _text(opener, one.origin) for ending, opener in one.captions.items()}
        place, stem = self.folder / one.group, safe_stem(_stem(one.name))
        self._look_into(place)
        for known in self._alike(place, stem, digest, copy.stat().st_size):
            if self._agrees(known, texts):
                return known, False
        target = place / (self._stems[place].take(stem) + Path(one.name).suffix)
        for ending, text in texts.items():  # first, so that an image never lies there without its caption
            self._put(target.with_name(target.stem + ending), text)
        writing(copy.replace, target)
        self._content.setdefault((place, series(stem), digest), []).append(target)
        return target, True

    def set_repeats(self, tally: _Tally) -> None:
        """Tell the set how often single images are seen."""
        for place, numbers in tally.repeats.items():
            writing(set_repeats, place, numbers)

    def _look_into(self, place: Path) -> None:
        """Learn what lies in a folder of the set, once."""
        if place in self._stems:
            return
        writing(place.mkdir, parents=True, exist_ok=True)
        self._stems[place] = Stems(place)
        for file in place.iterdir():
            if file.suffix.lower() in SUFFIXES and file.is_file():
                self._unread.setdefault((place, series(file.stem), file.stat().st_size), []).append(file)

    def _alike(self, place: Path, stem: str, digest: str, size: int) -> list[Path]:
        """The images of this content that have the name already, perhaps with a number."""
        for file in self._unread.pop((place, series(stem), size), []):
            self._content.setdefault((place, series(stem), file_hash(file)), []).append(file)
        found = self._content.get((place, series(stem), digest), [])
        return [file for file in found if _is_numbered(file.stem.casefold(), stem.casefold())]

    def _agrees(self, known: Path, texts: dict[str, bytes]) -> bool:
        """Whether the image's captions say nothing else than these; those that it lacks it gets."""
        files = {known.with_name(known.stem + ending): text for ending, text in texts.items()}
        if any(file.is_file() and file.read_bytes() != text for file, text in files.items()):
            return False
        for file, text in files.items():
            if not file.is_file():
                self._put(file, text)
        return True

    def _put(self, file: Path, text: bytes) -> None:
        """A caption, whole or not at all."""
        copy = self._scratch / "caption"
        writing(copy.write_bytes, text)
        writing(copy.replace, file)


def _stem(name: str) -> str:
    """The name without its ending."""
    return Path(name.replace("/", "_").replace("\0", "_")).stem


def _is_numbered(found: str, stem: str) -> bool:
    rest = found.removeprefix(stem)
    return found.startswith(stem) and (not rest or (rest[0] == "_" and rest[1:].isdigit()))


def _copy(opener: Opener, target: Path, origin: str) -> str:
    """Copy what is opened to ``target``; its SHA-256. A damaged source is the image's fault, the target is ours."""
    digest, size = hashlib.sha256(), 0
    try:
        with target.open("wb") as file:
            for chunk in _chunks(opener, origin):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
    except OSError as error:
        raise CannotWrite(error) from error
    if not size:
        raise _Unusable(Noted(key="empty_file", name=origin))
    return digest.hexdigest()


def _chunks(opener: Opener, origin: str) -> Iterator[bytes]:
    """A file's content, part by part. Raises ``_Unusable``."""
    left = MOST_IMAGE
    try:
        with opener() as source:
            while chunk := source.read(CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _Unusable(Noted(key="huge_file", name=origin))
                yield chunk
    except UNREADABLE as error:
        raise _Unusable(Noted(key="unreadable", name=origin, values={"reason": reason(error)})) from error


def _check(path: Path, origin: str) -> None:
    """Raise ``_Unusable`` for what is no image that can be learnt from."""
    try:
        if not is_file(path):
            raise _Unusable(Noted(key="not_a_file", name=origin))
        if not path.stat().st_size:
            raise _Unusable(Noted(key="empty_file", name=origin))
        size_of(path)
    except BadDataset as error:
        bomb = isinstance(error.__cause__, Image.DecompressionBombError)
        values = {"reason": shown(str(error.values["reason"]))}
        raise _Unusable(Noted(key="too_many_pixels" if bomb else "unreadable", name=origin, values=values)) from error


def _text(opener: Opener, origin: str) -> bytes:
    """A caption's bytes, whatever they say: what is wrong with captions is found later."""
    try:
        with opener() as file:
            text = file.read(MOST_CAPTION + 1)
    except UNREADABLE as error:
        raise _Unusable(Noted(key="caption_unreadable", name=origin, values={"reason": reason(error)})) from error
    if len(text) > MOST_CAPTION:
        raise _Unusable(Noted(key="caption_huge", name=origin))
    return text
