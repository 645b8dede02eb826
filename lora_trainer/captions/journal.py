"""The journal of edits, ``.lora_trainer/captions.jsonl`` in the folder of images: what undo, redo and a restart read.

It lies in the folder so that it goes where the folder goes; its name is hidden, and neither we nor kohya's scripts
take images from it. Lines are only added, each change's before its first file is touched:

- ``change``: an edit with its title and, of every file, the bytes before and after;
- ``undo``, ``redo``: of the change with this id;
- ``back``: the edit, undo or redo that is under way failed and is being taken back;
- ``end``: it is finished. What has no end is brought to one at the next start.

A line without its line end was never finished writing and counts as not there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lora_trainer.captions.writing import Move
from lora_trainer.disk import write_whole
from lora_trainer.language import English, texts, translate

FOLDER, FILE, LOCK = ".lora_trainer", "captions.jsonl", "captions.lock"
SHOWN = 60  # letters of a value in the history
MOST_BYTES = 64_000_000  # what is longer loses its oldest changes


@dataclass(frozen=True, slots=True)
class Change:
    """An edit as the history lists it: ``images`` it changed, ``time`` in seconds since 1970."""

    id: int
    title: str
    values: Mapping[str, str]
    images: int
    time: float
    line: tuple[int, int] = field(repr=False)  # where it stands in the file, and how long it is

    def text(self, language: str = English) -> str:
        """What the edit did. A journal of another version may have a title that this one does not know."""
        known = self.title.startswith("captions.did_") and self.title in texts(English)
        values = {name: text if len(text) <= SHOWN else text[:SHOWN] + "…" for name, text in self.values.items()}
        try:
            return translate(self.title if known else "captions.did_something", language, **values)
        except KeyError:
            return translate("captions.did_something", language)


@dataclass(slots=True)
class Pending:
    """What was begun and has no end yet: "change", "undo" or "redo" of a change, or the way back from it."""

    kind: str
    change: Change
    back: bool = False

    @property
    def forward(self) -> bool:
        """Whether files go from before to after."""
        return (self.kind != "undo") != self.back


class Journal:
    """The journal of one folder; ``done`` can be undone from its end, ``undone`` redone from its end."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.folder = folder / FOLDER
        self.file = self.folder / FILE
        self.lock = self.folder / LOCK
        self._forget()

    def read(self) -> None:
        """Take in what was added since, by us or another program; a shorter file is read anew. Raises ``OSError``."""
        length = self.file.stat().st_size if self.file.is_file() else 0
        if length < self._length:  # another program has shortened it
            self._forget()
        if length == self._length:
            return
        with self.file.open("rb") as file:
            file.seek(self._length)
            for line in file:
                if line.endswith(b"\n"):
                    self._take(line, self._length)
                self._length += len(line)

    def begin(self, title: tuple[str, Mapping[str, str]], images: int, moves: Sequence[Move]) -> Pending:
        """Write down a change that is about to be made; on the disk when this returns. Raises ``OSError``."""
        files = [[move.file.relative_to(self.root).as_posix(), _text(move.before), _text(move.after)] for move in moves]
        number = self._last + 1
        self._write(kind="change", id=number, title=title[0], values=dict(title[1]), images=images, files=files)
        assert self.pending is not None
        return self.pending

    def step(self, kind: str) -> None:
        """Write down that an ``undo`` or ``redo`` begins, a way ``back``, or an ``end``. Raises ``OSError``."""
        last = {"undo": self.done[-1:], "redo": self.undone[-1:]}.get(kind, [])
        self._write(kind=kind, **({"id": last[0].id} if last else {}))

    def moves(self, change: Change, ending: str) -> list[Move]:
        """What the change does to its files; only such as are caption files in this folder, wherever the journal came
        from. Raises ``OSError``."""
        with self.file.open("rb") as file:
            file.seek(change.line[0])
            record = json.loads(file.read(change.line[1]))
        steps = [Move(self.root / name, _bytes(before), _bytes(after)) for name, before, after in record["files"]]
        return [move for move in steps if self._holds(move.file) and move.file.name.endswith(ending)]

    @property
    def outgrown(self) -> bool:
        """Whether it is longer than ``MOST_BYTES``."""
        return self._length > MOST_BYTES

    def shorten(self) -> None:
        """Drop the oldest changes of a journal that is outgrown, to half of that. Raises ``OSError``."""
        if not self.outgrown or self.pending:
            return
        kept, room = list[Change](), MOST_BYTES // 2
        for change in reversed(sorted([*self.done, *self.undone], key=lambda one: one.id)):
            room -= change.line[1]
            if room < 0 and kept:
                break
            kept.insert(0, change)
        if any(change not in kept for change in self.undone):  # a gap in what can be redone
            kept = [change for change in kept if change in self.done]
        with self.file.open("rb") as file:
            lines = [line for change in kept for line in (_at(file, change), _line(kind="end"))]
        ids = [change.id for change in kept]
        for change in sorted(self.undone, key=lambda one: -one.id):
            lines += [_line(kind="undo", id=change.id), _line(kind="end")] if change.id in ids else []
        write_whole(self.file, b"".join(lines))
        self._forget()
        self.read()

    def _holds(self, file: Path) -> bool:
        """Whether a caption can be there: a journal may come from anywhere."""
        inside = self.root in (file.parent, file.parent.parent) and file.parent != self.folder
        return inside and ".." not in file.parts

    def _forget(self) -> None:
        self.done: list[Change] = []
        self.undone: list[Change] = []
        self.pending: Pending | None = None
        self._length = self._last = 0

    def _write(self, **record: Any) -> None:
        """Add a line, after the end of one that a crash cut off, and take it in."""
        self.folder.mkdir(exist_ok=True)
        with self.file.open("a+b") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - 1))
            torn = length > 0 and file.read(1) != b"\n"
            try:
                file.write((b"~\n" if torn else b"") + _line(time=round(time.time(), 3), **record))
                file.flush()
                if record["kind"] != "end":  # without it, the next start finds everything in its place already
                    os.fsync(file.fileno())
            except OSError:
                file.truncate(length)  # what is told to have failed must not be completed later
                raise
        self.read()

    def _take(self, line: bytes, place: int) -> None:
        """What a line says happened. One that is damaged says nothing."""
        try:
            record = json.loads(line)
            kind, number = record["kind"], int(record.get("id", 0))
            if kind == "change":
                self._settle()
                self.pending = Pending(kind, _change(record, (place, len(line))))
                self._last = max(self._last, number)
        except (ValueError, TypeError, KeyError, AttributeError):
            return
        if kind in ("undo", "redo"):
            self._settle()
            stack = self.done if kind == "undo" else self.undone
            if stack and stack[-1].id == number:
                self.pending = Pending(kind, stack[-1])
        elif kind == "back" and self.pending:
            self.pending.back = True
        elif kind == "end":
            self._settle()

    def _settle(self) -> None:
        """The pending step is over."""
        pending, self.pending = self.pending, None
        if pending is None or pending.back:
            return
        if pending.kind == "change":
            self.done.append(pending.change)
            self.undone.clear()
        elif pending.kind == "undo":
            self.undone.append(self.done.pop())
        else:
            self.done.append(self.undone.pop())


def _change(record: Any, line: tuple[int, int]) -> Change:
    """The change that a line tells of. Raises ``ValueError``, ``TypeError``, ``KeyError`` or ``AttributeError`` for one
    that a damaged disk or another hand has spoilt."""
    for name, before, after in record["files"]:
        for part, kinds in ((name, (str,)), (before, (str, type(None))), (after, (str, type(None)))):
            if not isinstance(part, kinds):
                raise TypeError(part)
    values = {str(key): str(value) for key, value in record["values"].items()}
    return Change(int(record["id"]), str(record["title"]), values, int(record["images"]), float(record["time"]), line)


def _line(**record: Any) -> bytes:
    return json.dumps(record).encode() + b"\n"


def _at(file: Any, change: Change) -> bytes:
    """The line of a change."""
    file.seek(change.line[0])
    found: bytes = file.read(change.line[1])
    return found


def _text(content: bytes | None) -> str | None:
    """Bytes as text that can be read where it is UTF-8 and that gives the same bytes where it is not."""
    return None if content is None else content.decode("utf-8", "surrogateescape")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")
