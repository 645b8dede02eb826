"""What an edit would do, and what it did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lora_trainer.errors import BadDataset


@dataclass(frozen=True, slots=True)
class Refusal:
    """A caption file that was not read or not changed, its images, and why."""

    file: Path
    images: tuple[Path, ...]
    error: BadDataset


@dataclass(frozen=True, slots=True)
class Sample:
    """A caption before and after an edit; ``before`` is None where there is no file yet."""

    image: Path
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What an edit would do: to how many images, of how many selected, and the first of them."""

    images: int
    selected: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an edit, undo or redo did: the images it changed, and the files that it left alone."""

    images: int
    refused: tuple[Refusal, ...] = ()
