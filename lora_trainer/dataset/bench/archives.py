"""Images in a ZIP: read entry by entry, never extracted by name, and only while what it unpacks to stays in bounds."""

from __future__ import annotations

import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import cast

from lora_trainer.dataset.bench.notes import Noted, reason, shown, told
from lora_trainer.dataset.bench.sources import CAPTIONS, MAC_RUBBISH, Incoming, Opener, Others, group_of
from lora_trainer.dataset.pictures import SUFFIXES
from lora_trainer.dataset.repeats import FILE as REPEATS
from lora_trainer.dataset.repeats import read_repeats
from lora_trainer.errors import BadDataset

ENCRYPTED, UTF_8 = 0x1, 0x800  # of an entry's flags
NAMED = 5  # how many of the entries that are refused for one reason are named
MOST_TEXT = 1 << 20  # of a list of repeats
# What Python raises on entries that are damaged, encrypted or packed in a way that it does not know.
UNREADABLE = (OSError, EOFError, RuntimeError, NotImplementedError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What an archive may unpack to: images hardly shrink in one, so that what does not keep to this is a trap."""

    entries: int = 100_000
    total: int = 64 << 30  # bytes
    ratio: float = 200.0  # of what it unpacks to, to its own size …
    harmless: int = 256 << 20  # … which does not count up to here: flat BMP files shrink well


@dataclass(frozen=True, slots=True)
class _Entry:
    info: zipfile.ZipInfo
    folders: tuple[str, ...]
    name: str


def from_archive(path: Path, limits: Limits, others: Others, stack: ExitStack) -> Iterator[Incoming | Noted]:
    """The images in a ZIP, which ``stack`` keeps open; a note for whatever of it cannot or must not be read."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except UNREADABLE as error:
        yield Noted(key="zip_unreadable", name=shown(path.name), values={"reason": reason(error)})
        return
    files = [info for info in archive.infolist() if not info.is_dir()]
    if refusal := _refusal(path, files, limits):
        yield refusal
        return
    inside = [info for info in files if not _points_outside(_name(info))]
    plain = [info for info in inside if not _is_link(info)]
    yield from _refused(path, "zip_outside", [_name(info) for info in files if _points_outside(_name(info))])
    yield from _refused(path, "zip_link", [_name(info) for info in inside if _is_link(info)])
    folders: dict[tuple[str, ...], dict[str, _Entry]] = {}
    for entry in (_entry(info) for info in plain):
        if not _is_hidden(entry):
            folders.setdefault(entry.folders, {})[entry.name] = entry
    for entries in folders.values():
        yield from _from_folder(archive, path, entries, others)


def _from_folder(
    archive: zipfile.ZipFile, path: Path, entries: Mapping[str, _Entry], others: Others
) -> Iterator[Incoming | Noted]:
    """The images of one folder in the archive."""
    images = [entry for entry in entries.values() if PurePosixPath(entry.name).suffix.lower() in SUFFIXES]
    try:
        numbers = _repeats(archive, entries, images)
    except BadDataset as error:
        numbers = {}
        yield told(error, shown(path.name))
    used = {REPEATS} if numbers else set()
    for entry in images:
        stem = PurePosixPath(entry.name).stem
        own = {ending: entries[stem + ending] for ending in CAPTIONS if stem + ending in entries}
        used |= {entry.name, *(text.name for text in own.values())}
        origin = shown("/".join([path.name, *entry.folders, entry.name]))
        captions = {ending: _opener(archive, text) for ending, text in own.items()}
        group = group_of([path.stem, *entry.folders])
        yield Incoming(entry.name, group, origin, _opener(archive, entry), captions, numbers.get(entry.name))
    others.names += [name for name in entries if name not in used]


def _refusal(path: Path, files: Sequence[zipfile.ZipInfo], limits: Limits) -> Noted | None:
    """Why nothing of the archive is read, if so."""
    name, size, total = shown(path.name), path.stat().st_size, sum(info.file_size for info in files)
    if any(info.flag_bits & ENCRYPTED for info in files):
        return Noted(key="zip_encrypted", name=name)
    if len(files) > limits.entries:
        return Noted(key="zip_entries", name=name, values={"count": len(files), "most": limits.entries})
    if total > limits.total or (total > limits.harmless and total > limits.ratio * size):
        return Noted(key="zip_bomb", name=name, values={"size": _megabytes(size), "total": _megabytes(total)})
    return None


def _refused(path: Path, key: str, names: Sequence[str]) -> Iterator[Noted]:
    """One note for all entries that are refused for one reason."""
    if names:
        found = ", ".join(shown(name) for name in names[:NAMED]) + (" …" if len(names) > NAMED else "")
        yield Noted(key=key, name=shown(path.name), values={"count": len(names), "entries": found})


def _name(info: zipfile.ZipInfo) -> str:
    """The entry's name with slashes, read as its maker most likely meant it where the archive does not say."""
    name = info.orig_filename
    if not info.flag_bits & UTF_8 and not name.isascii():
        name = _meant(name)
    return name.replace("\\", "/")


def _meant(name: str) -> str:
    """A name that Python read in the old American encoding, in the one that its maker most likely had: UTF-8 (macOS),
    GB 18030 (Windows in Chinese) or, where it is a word in Latin letters as it stands, that of old."""
    try:
        raw = name.encode("cp437")
    except UnicodeEncodeError:
        return name
    unicode, chinese = _read(raw, "utf-8"), _read(raw, "gb18030")
    # Chinese characters of two bytes may look like UTF-8, but hardly like letters of one alphabet.
    if unicode and not (chinese and max(unicode) < "\u0800" and len(_alphabets(unicode)) > 1):
        return unicode
    return chinese if chinese and _alphabets(name) != {"LATIN"} else name


def _read(raw: bytes, encoding: str) -> str:
    """The bytes as text; "" where they are none."""
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _alphabets(text: str) -> set[str]:
    """The first words of the Unicode names of all characters that are not ASCII."""
    return {unicodedata.name(letter, "").split(" ")[0] for letter in text if not letter.isascii()}


def _points_outside(name: str) -> bool:
    """Whether a name is absolute (also in the ways of Windows) or climbs out of its folder."""
    return name.startswith("/") or bool(PureWindowsPath(name).drive) or ".." in name.split("/")


def _is_link(info: zipfile.ZipInfo) -> bool:
    """Whether the entry is a symbolic link of Unix."""
    return stat.S_ISLNK(info.external_attr >> 16)


def _is_hidden(entry: _Entry) -> bool:
    return any(part.startswith(".") or part == MAC_RUBBISH for part in (*entry.folders, entry.name))


def _entry(info: zipfile.ZipInfo) -> _Entry:
    *folders, name = [part for part in _name(info).split("/") if part not in ("", ".")] or [""]
    return _Entry(info, tuple(folders), name)


def _opener(archive: zipfile.ZipFile, entry: _Entry) -> Opener:
    return cast("Opener", partial(archive.open, entry.info))


def _repeats(archive: zipfile.ZipFile, entries: Mapping[str, _Entry], images: Sequence[_Entry]) -> dict[str, int]:
    """The images' own repeats, which a file in their folder tells. Raises ``BadDataset``."""
    if REPEATS not in entries or entries[REPEATS].info.file_size > MOST_TEXT:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            with archive.open(entries[REPEATS].info) as file:
                (Path(folder) / REPEATS).write_bytes(file.read(MOST_TEXT))
        except UNREADABLE:
            return {}
        return read_repeats(Path(folder), [Path(folder) / entry.name for entry in images])


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MB"
