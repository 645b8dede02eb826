"""Names that every file system takes, and that no two images of a folder share."""

from __future__ import annotations

import re
from pathlib import Path

from lora_trainer.dataset.bench.notes import controls

MOST_LETTERS, MOST_BYTES = 100, 180  # of a name without its ending: room for numbers and endings below every limit
FORBIDDEN = set('<>:"/\\|?*')  # on Windows
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # Windows opens these anywhere
OF_THE_FOLDER = "repeats"  # repeats.txt is no caption: an image of that name would take it for its own
NUMBERED = re.compile(r"_[0-9]+$")


def safe_stem(stem: str) -> str:
    """The name without its ending, made fit for Windows, macOS and Linux; letters of all languages and emoji stay."""
    text = stem.encode("utf-8", "replace").decode()
    plain = "".join("_" if letter in FORBIDDEN or controls(letter) else letter for letter in text)
    plain = plain.lstrip(" .")[:MOST_LETTERS]
    plain = plain.encode("utf-8")[:MOST_BYTES].decode("utf-8", "ignore").rstrip(" .")
    return f"_{plain}" if DEVICES.fullmatch(plain) else plain or "image"


class Stems:
    """The names that are taken in one folder, whatever their ending and case: a caption belongs to one image alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken = {OF_THE_FOLDER}
        self._next: dict[str, int] = {}
        if folder.is_dir():
            self._taken.update(_folded(entry.stem) for entry in folder.iterdir())

    def take(self, stem: str) -> str:
        """``stem`` or, where it is taken, the first free ``stem_2``, ``stem_3`` …; it is taken from now on."""
        number, free, folded = self._next.get(_folded(stem), 2), stem, _folded(stem)
        while _folded(free) in self._taken:
            free, number = f"{stem}_{number}", number + 1
        self._next[folded] = number
        self._taken.add(_folded(free))
        return free


def series(stem: str) -> str:
    """What the names that ``Stems.take`` gives to one ``stem`` have in common."""
    return NUMBERED.sub("", _folded(stem))


def _folded(stem: str) -> str:
    """The name as file systems that ignore case compare it."""
    return stem.casefold()
