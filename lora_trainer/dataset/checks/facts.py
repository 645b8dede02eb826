"""What was measured of a folder of images: one ``Facts`` an image, whatever state it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lora_trainer.errors import BadDataset

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """What a readable picture is like: upright size in pixels, the share that is not opaque, how sharp and colourful.

    ``sharpness`` is None where nothing in it has an edge. ``small`` is the picture, (h, w, 3), 96 pixels long at most.
    """

    width: int
    height: int
    clear: float
    sharpness: float | None
    colour: float
    small: Pixels = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file was not changed since it was measured, and the size that it was measured at."""

    changed_ns: int
    length: int
    side: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A file's stamp and what was found: a look, or the key of what is wrong with it and the reason.

    ``content`` is the hash of the file where another one is as long; equal files have equal ones.
    """

    stamp: Stamp
    look: Look | None = None
    fault: str = ""
    reason: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True)
class Caption:
    """The caption file of an image: its text, or the key of what is wrong with it (``missing``, ``encoding``,
    ``unreadable``, ``huge``)."""

    path: Path
    text: str = ""
    fault: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """An image file: what was measured, its caption, its repeats, the name and the repeats of its folder.

    ``words`` caption it where it has no caption file.
    """

    path: Path
    measured: Measured
    caption: Caption
    repeats: int
    group: str
    folder_repeats: int
    words: str = ""

    @property
    def look(self) -> Look | None:
        """None where the image cannot be read."""
        return self.measured.look

    @property
    def size(self) -> tuple[int, int]:
        """Upright width and height; zeros where it cannot be read."""
        return (self.look.width, self.look.height) if self.look else (0, 0)

    def captioned(self, text: str) -> Facts:
        """The same with another caption."""
        return replace(self, caption=replace(self.caption, text=text))


@dataclass(frozen=True, slots=True)
class Survey:
    """All that was found in a folder.

    ``broken_links`` lead nowhere, ``loops`` are sub-folders that lead back to the folder or to another one of it,
    ``ignored`` are sub-folders with images that do not count. ``refusals`` are what the training would refuse besides.
    """

    folder: Path
    images: tuple[Facts, ...]
    broken_links: tuple[Path, ...] = ()
    loops: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()
    refusals: tuple[BadDataset, ...] = ()

    @property
    def readable(self) -> list[Facts]:
        """The images that can be read."""
        return [facts for facts in self.images if facts.look]

    @property
    def known(self) -> Mapping[Path, Measured]:
        """What was measured, for the next survey of the same folder: it measures only what has changed."""
        return {facts.path: facts.measured for facts in self.images}
