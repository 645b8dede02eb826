"""The file of a project's history: one line each time a step is done, undone, done again, or found to be gone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lora_trainer.language import English
from lora_trainer.project.words import Words, known

FILE = "history.jsonl"
CAPTIONS, ACTION, IMAGES, FOLDER = "captions", "action", "images", "folder"
SHOWN = 60  # letters of a value in a sentence
READ_ERRORS = (ValueError, TypeError, LookupError, AttributeError)  # of a line that a damaged disk spoilt


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done to the set ``folder``. ``kind`` says which journal knows how it is taken back, ``data``
    what that journal needs to be told."""

    number: int
    kind: str
    folder: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    time: float = 0.0

    def text(self, language: str = English) -> str:
        """What was done."""
        values = {name: _short(value) for name, value in self.values.items()}
        try:
            return Words(self.title if known(self.title) else "history.something", values).text(language)
        except (KeyError, IndexError):  # values of another version
            return Words("history.something").text(language)


class Record:
    """``done`` can be undone from its end, ``undone`` done again from its end. Not safe from several threads."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self.done: list[Step] = []
        self.undone: list[Step] = []
        self.all: list[Step] = []  # also those that are gone
        self._length = 0

    def read(self) -> None:
        """Take in what was added. Raises ``OSError``."""
        length = self.file.stat().st_size if self.file.is_file() else 0
        if length < self._length:
            self.done, self.undone, self.all, self._length = [], [], [], 0
        if length == self._length:
            return
        with self.file.open("rb") as file:
            file.seek(self._length)
            for line in file:
                if line.endswith(b"\n"):
                    self._take(line)
                self._length += len(line)

    def do(self, step: Step) -> None:
        """A step was done; what had been undone cannot be done again after it. Raises ``OSError``."""
        number = len(self.all) + 1
        values = {"kind": step.kind, "folder": step.folder, "title": step.title, "values": dict(step.values)}
        self._write({"do": number, **values, "data": dict(step.data), "time": step.time or round(time.time(), 3)})

    def move(self, what: str, step: Step, data: Mapping[str, Any] | None = None) -> None:
        """A step was ``undo``ne or ``redo``ne, perhaps with new ``data``, or is ``gone``. Raises ``OSError``."""
        self._write({what: step.number, "data": dict(step.data if data is None else data)})

    def _write(self, values: Mapping[str, Any]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a+b") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - 1))
            torn = length > 0 and file.read(1) != b"\n"
            try:
                file.write((b"~\n" if torn else b"") + json.dumps(values).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(length)
                raise
        self.read()

    def _take(self, line: bytes) -> None:
        """What a line says. One that is damaged says nothing."""
        try:
            values = json.loads(line)
            what = next(key for key in ("do", "undo", "redo", "gone") if key in values)
            if what == "do":
                self._add(values)
            else:
                self._moved(what, int(values[what]), dict(values["data"]))
        except (*READ_ERRORS, StopIteration):
            return

    def _add(self, values: Mapping[str, Any]) -> None:
        step = Step(
            len(self.all) + 1,
            str(values["kind"]),
            str(values["folder"]),
            str(values["title"]),
            dict(values["values"]),
            dict(values["data"]),
            float(values["time"]),
        )
        self.all.append(step)
        self.done.append(step)
        self.undone.clear()

    def _moved(self, what: str, number: int, data: dict[str, Any]) -> None:
        if number < 1:
            raise IndexError(number)
        step = replace(self.all[number - 1], data=data)
        self.all[number - 1] = step
        self.done = [one for one in self.done if one.number != number]
        self.undone = [one for one in self.undone if one.number != number]
        if what == "undo":
            self.undone.append(step)
        elif what == "redo":
            self.done.append(step)


def _short(value: Any) -> Any:
    return f"{value[:SHOWN]}…" if isinstance(value, str) and len(value) > SHOWN else value
