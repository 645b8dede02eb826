"""How large images are, read from their heads alone and remembered while the files stay as they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from lora_trainer.dataset.buckets import Size
from lora_trainer.dataset.pictures import size_at_head
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadDataset

WORTH_KEEPING = 200  # sizes that were read anew before the file is written
UNREADABLE: Size = (0, 0)


class Sizes:
    """Upright widths and heights by path; ``(0, 0)`` for what is no image. Kept in ``file`` over restarts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[str, list[int]] | None = None  # mtime in ns, length, width, height
        self._new = 0

    def of(self, paths: Sequence[Path]) -> list[Size]:
        """The size of each, in order. Raises nothing: whether an image is whole is the doctor's to find out."""
        with self._lock:
            known = self._loaded()
            sizes = [self._size(path, known) for path in paths]
            if self._new >= WORTH_KEEPING:
                self._save(known, paths)
            return sizes

    def _size(self, path: Path, known: dict[str, list[int]]) -> Size:
        try:
            status = path.stat()
        except OSError:
            return UNREADABLE
        stamp = [status.st_mtime_ns, status.st_size]
        found = known.get(str(path))
        if found is None or found[:2] != stamp:
            try:
                width, height = size_at_head(path)
            except BadDataset:
                width, height = UNREADABLE
            found = known[str(path)] = [*stamp, width, height]
            self._new += 1
        return found[2], found[3]

    def _loaded(self) -> dict[str, list[int]]:
        if self._known is None:
            self._known = {}
            with suppress(OSError, ValueError, AttributeError):
                found = json.loads(self._file.read_text(encoding="utf-8"))
                self._known = {path: numbers for path, numbers in found.items() if _fits(numbers)}
        return self._known

    def _save(self, known: dict[str, list[int]], paths: Iterable[Path]) -> None:
        wanted = {str(path) for path in paths}
        self._new = 0
        with suppress(OSError):  # it only saves time
            write_whole(self._file, json.dumps({path: known[path] for path in wanted if path in known}))


def _fits(numbers: object) -> bool:
    return isinstance(numbers, list) and len(numbers) == 4 and all(type(number) is int for number in numbers)
