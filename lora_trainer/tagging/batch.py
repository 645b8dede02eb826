"""Tagging many images: read, looked at, worded and written, one event an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from lora_trainer.captions.caption import written
from lora_trainer.dataset.captions import read_text, tags
from lora_trainer.dataset.pictures import open_picture
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadDataset, UserError
from lora_trainer.tagging.events import Noticed, PassedOver, Tagged
from lora_trainer.tagging.tagger import BadTagger, Reading, Tagger
from lora_trainer.tagging.thresholds import Thresholds, probable
from lora_trainer.tagging.wording import Mode, Style, joined, worded

AT_ONCE = 8
Write = Callable[[Path, Sequence[str]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to do with what a tagger sees. ``ending`` is that of caption files; ``dry``: tell, but write nothing."""

    mode: Mode = Mode.Missing
    thresholds: Thresholds = field(default_factory=Thresholds)
    style: Style = field(default_factory=Style)
    ending: str = ".txt"
    dry: bool = False


@dataclass(frozen=True, slots=True)
class _Task:
    """An image that is to be looked at, and its caption's tags."""

    number: int
    path: Path
    image: Image.Image
    existing: list[str]


def write_tags(caption: Path, found: Sequence[str]) -> None:
    """Write a caption file whole or not at all; its mark and its last line end stay. Raises ``OSError``."""
    write_whole(caption, written(found, caption.read_bytes() if caption.is_file() else None))


def tag_images(
    images: Sequence[Path], tagger: Tagger, plan: Plan, write: Write = write_tags
) -> Iterator[Tagged | PassedOver | Noticed]:
    """Tag the images in order. Closing the iterator stops it; what is written stays.

    An image that cannot be read or whose caption cannot be, or cannot be written, is passed over and the others go on.
    ``write`` gets the caption's file and all of its tags. Raises ``BadTagger`` where the tagger itself fails.
    """
    told: Noticed | None = None
    waiting: list[_Task] = []
    for number, path in enumerate(images, 1):
        task = _task(number, path, plan)
        if isinstance(task, _Task):
            waiting.append(task)
        else:
            yield PassedOver(image=path, why=task, done=number, total=len(images))
        if waiting and (len(waiting) == AT_ONCE or number == len(images)):
            readings = tagger.tag([one.image for one in waiting])
            if (notice := getattr(tagger, "notice", None)) not in (None, told):
                told = notice
                yield notice
            for one, reading in zip(waiting, readings, strict=True):
                yield _finished(one, _words(reading, tagger, plan), plan, write, len(images))
            waiting = []


def caption_file(image: Path, ending: str = ".txt") -> Path:
    """Where an image's caption is."""
    return image.with_name(image.stem + ending)


def _task(number: int, path: Path, plan: Plan) -> _Task | UserError | None:
    """What there is to do for an image; why nothing can be done, or None where nothing is to be."""
    try:
        existing = _existing(caption_file(path, plan.ending), plan.mode)
        if plan.mode is Mode.Missing and existing:
            return None
        return _Task(number, path, open_picture(path), existing)
    except BadDataset as error:
        return error


def _existing(caption: Path, mode: Mode) -> list[str]:
    """The caption's tags; a file that is to be overwritten need not be readable."""
    try:
        there = caption.is_file()
    except OSError as error:  # a name that is too long
        raise BadDataset("caption_unreadable", field="images", name=caption.name, reason=error.strerror) from error
    return tags(read_text(caption)) if there and mode is not Mode.Overwrite else []


def _words(reading: Reading, tagger: Tagger, plan: Plan) -> list[str]:
    """What the caption is to say of a reading."""
    if tagger.writes_sentences:
        return [tag for sentence in reading.general for tag in tags(sentence)]
    return worded(probable(reading, plan.thresholds), plan.style)


def _finished(task: _Task, found: list[str], plan: Plan, write: Write, total: int) -> Tagged | PassedOver:
    """Write the caption of one image, where it changes."""
    now = joined(task.existing, found, plan.mode)
    changes = bool(now) and now != task.existing and not plan.dry
    if changes:
        caption = caption_file(task.path, plan.ending)
        try:
            write(caption, now)
        except OSError as error:
            why = BadTagger("tags_unwritten", field="images", name=caption, reason=error.strerror or error)
            return PassedOver(image=task.path, why=why, done=task.number, total=total)
    return Tagged(image=task.path, tags=tuple(now), written=changes, done=task.number, total=total)
