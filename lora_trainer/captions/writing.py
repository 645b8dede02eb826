"""Changing caption files: each whole or not at all, and none that another program has changed meanwhile."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.errors import Busy

TEMPORARY = ".caption.tmp"  # one name for all: a caption's own may be too long for an ending more


@dataclass(frozen=True, slots=True)
class Move:
    """A file's step from the bytes ``before`` to ``after``; None is no file."""

    file: Path
    before: bytes | None
    after: bytes | None

    @property
    def back(self) -> Move:
        """The step the other way."""
        return Move(self.file, self.after, self.before)


def content(file: Path) -> bytes | None:
    """The file's bytes, None where there is no file. Raises ``OSError``, also for a link that leads nowhere."""
    return file.read_bytes() if os.path.lexists(file) else None


def carry_out(moves: Iterable[Move]) -> list[Path]:
    """Make the moves, in order; those that are made already are passed over.

    Returns the files that were left alone as they are neither as before nor as after. Raises ``OSError`` at the first
    that cannot be written; the moves before it are made.
    """
    refused = []
    for move in moves:
        try:
            now = content(move.file)
        except OSError:
            refused.append(move.file)
            continue
        if now == move.before != move.after:
            put(move.file, move.after)
        elif now != move.after:
            refused.append(move.file)
    return refused


def put(file: Path, new: bytes | None) -> None:
    """Give the file these bytes, or take it away.

    Not flushed to the disk one by one, which would take minutes for a thousand files: the journal is, before. A link
    stays one, and a file keeps its permissions. Raises ``OSError``.
    """
    if new is None:
        file.unlink(missing_ok=True)
        return
    target = Path(os.path.realpath(file))
    temporary = target.with_name(TEMPORARY)
    try:
        temporary.write_bytes(new)
        with suppress(FileNotFoundError):
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def sweep(moves: Iterable[Move]) -> None:
    """Take away what a crash left of a file that was being written. Raises ``OSError``."""
    for folder in {move.file.parent for move in moves}:
        (folder / TEMPORARY).unlink(missing_ok=True)


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Holds the file ``lock`` as the only one of all programs; a crash gives it back. Raises ``Busy``, ``OSError``."""
    with lock.open("a+b") as file:
        try:
            _hold(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            raise Busy("captions_busy", folder=lock.parent.parent) from error
        except OSError:  # a network drive without locks: better unlocked than not at all
            pass
        yield


def _hold(handle: int) -> None:
    """Lock an open file, at once or not at all. Raises ``OSError``."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
