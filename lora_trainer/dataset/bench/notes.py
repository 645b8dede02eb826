"""What the bench tells while it works: what it could not do, one sentence each, and what came of it."""

from __future__ import annotations

import errno
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from lora_trainer.errors import UserError
from lora_trainer.events import Event
from lora_trainer.language import English, translate

P = ParamSpec("P")
T = TypeVar("T")
Stop = Callable[[], bool]
FULL = (errno.ENOSPC, errno.EDQUOT)
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # turn the direction of writing, hide endings


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted(Event):
    """Something about the image, file or folder ``name`` that a user should know; the work goes on with the rest.

    ``key`` selects the sentence in ``locale/<language>/bench.json``, ``values`` fill it.
    """

    key: str
    name: str
    values: Mapping[str, object] = field(default_factory=dict)

    def text(self, language: str = English) -> str:
        """The sentence in ``language``: what is the matter, why, what next. Plain text, not HTML."""
        return translate(f"bench.{self.key}", language, name=self.name, **self.values)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told(Noted):
    """A note in the words of an error that was raised."""

    error: UserError

    def text(self, language: str = English) -> str:
        """The error's own sentence."""
        return self.error.text(language)


@dataclass(frozen=True, kw_only=True, slots=True)
class Made(Event):
    """The work is over: ``images`` are the new files below the set's folder, ``known`` counts what was there already.

    ``outcome`` is ``finished``, ``stopped`` (by the user) or ``failed`` (a note says why); what was made is kept.
    """

    images: tuple[str, ...]
    known: int
    outcome: str


class CannotWrite(Exception):
    """Nothing more can be written: the disk is full, or the folder is read-only."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error

    def note(self, folder: object) -> Noted:
        """What a user is told of it."""
        key = "disk_full" if self.error.errno in FULL else "unwritable"
        return Noted(key=key, name=shown(str(folder)), values={"reason": reason(self.error)})


def writing(write: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call what writes into the set. Raises ``CannotWrite`` where the disk or its rights do not let it."""
    try:
        return write(*arguments, **named)
    except OSError as error:
        raise CannotWrite(error) from error


def told(error: UserError, name: str) -> Told:
    """The note that says what ``error`` says."""
    return Told(key=error.key, name=name, values=error.values, error=error)


def reason(error: BaseException) -> str:
    """The operating system's or Pillow's own words, on one line."""
    own = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shown(own) or type(error).__name__


def shown(name: str, most: int = 120) -> str:
    """A name as it may stand in a sentence: one line, nothing that controls, of bearable length."""
    text = name.encode("utf-8", "replace").decode()
    plain = "".join("\N{REPLACEMENT CHARACTER}" if controls(letter) else letter for letter in text)
    return plain if len(plain) <= most else f"{plain[: most // 2]} … {plain[-most // 2 :]}"


def controls(letter: str) -> bool:
    """Whether a character ends lines, moves the cursor or turns the direction of writing instead of being seen."""
    return unicodedata.category(letter) in ("Cc", "Zl", "Zp") or letter in TURNS


def never() -> bool:
    """For what nobody stops."""
    return False
