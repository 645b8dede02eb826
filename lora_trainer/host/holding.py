"""Whether a process is at work on a run: it holds a lock on a file in the run's folder, which the system lets go when
the process ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

NAME = "at_work.lock"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the run in ``folder``; where no lock can be had, nothing but the age of its events tells of us."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            file = stack.enter_context((folder / NAME).open("a+b"))
            _lock(file.fileno(), exclusive=True)
        yield


def is_held(folder: Path) -> bool | None:
    """Whether a process holds the run in ``folder``, this one included; None where that cannot be told."""
    path = folder / NAME
    try:
        with path.open("r+b") as file:
            return not _lock(file.fileno(), exclusive=False)
    except OSError:
        return None


def _lock(number: int, exclusive: bool) -> bool:
    """Lock an open file until it is closed; whether that was possible at once. Raises ``OSError`` where there are no
    locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(number, 0, os.SEEK_SET)
            msvcrt.locking(number, msvcrt.LK_LOCK if exclusive else msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            # Who only looks shares the lock, so that two who look do not take each other for one at work.
            fcntl.flock(number, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
