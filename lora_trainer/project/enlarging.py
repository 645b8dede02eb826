"""Crops, and images made from images, of a project's set: as tasks, each one step of its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_trainer.dataset.bench.enlarging import Crop, Faces, Mirror, Recipe, Split, derive
from lora_trainer.dataset.bench.faces import FaceDetector, choose_detector
from lora_trainer.dataset.buckets import Size, bucket_sizes
from lora_trainer.dataset.repeats import MAX_REPEATS
from lora_trainer.errors import BadSettings
from lora_trainer.project import reading
from lora_trainer.project.changes import noting
from lora_trainer.project.images import Entry, ImageIndex
from lora_trainer.project.importing import HOWS, told
from lora_trainer.project.listing import derived_by_name
from lora_trainer.project.project import Project
from lora_trainer.project.tasks import TaskControl, TaskFailed, Work
from lora_trainer.project.words import Words
from lora_trainer.settings import DataSettings, Settings

BYS = ("centre", "focus")
SIDES = (64, 4096)  # pixels of a crop
FACE_REPEATS = 3
PARTS = frozenset({"face", "split"})  # what is no whole picture any more


def cropping(
    project: Project, wanted: Mapping[str, Any], models: Sequence[Path], settings: Settings | None = None
) -> Work:
    """The work of cropping images to one size, or to the nearest bucket where no size is given.

    ``wanted`` holds ``images`` (ids or "all"), ``by``, ``width`` and ``height``; ``settings`` are what the
    project would train with. Originals are set aside. Raises ``BadSettings`` and ``Unknown``.
    """
    by = reading.choice(wanted, "by", BYS[0], BYS)
    sizes = _sizes(wanted, (settings or project.effective()).data)
    index = project.images()
    entries = chosen(index, wanted.get("images", "all"), PARTS)

    def work(control: TaskControl) -> dict[str, Any]:
        detector = _detector(models, control) if by == "focus" else None
        recipe = Crop(sizes=sizes, focus=by == "focus", detector=detector)
        return _derived(project, entries, recipe, control, instead=True)

    return work


def deriving(
    project: Project, wanted: Mapping[str, Any], models: Sequence[Path], settings: Settings | None = None
) -> Work:
    """The work of making images from images. ``wanted`` holds ``kind``, ``images`` (ids or "all") and ``repeats``.

    Raises ``BadSettings`` and ``Unknown``.
    """
    kind = reading.choice(wanted, "kind", "", (*HOWS,))
    repeats = reading.whole(wanted, "repeats", FACE_REPEATS, 1, MAX_REPEATS)
    entries = chosen(project.images(), wanted.get("images", "all"), frozenset(HOWS.values()))
    side = (settings or project.effective()).data.resolution

    def work(control: TaskControl) -> dict[str, Any]:
        recipe: Recipe = Split() if kind == "split" else Mirror()
        if kind == "faces":
            detector = _detector(models, control)
            if detector is None:
                raise TaskFailed(control.task.notes[-1])
            recipe = Faces(detector=detector, side=side, repeats=repeats)
        return _derived(project, entries, recipe, control, instead=False)

    return work


def chosen(index: ImageIndex, images: object, spared: frozenset[str]) -> list[Entry]:
    """The images that are meant: those of the ids, or all but those that were made in the ``spared`` ways.

    Raises ``Unknown``, and ``BadSettings`` where none is meant.
    """
    if images == "all":
        derived = derived_by_name(index)
        found = [one for one in index.entries if one.name not in derived or derived[one.name].how not in spared]
    else:
        found = index.chosen(reading.texts({"images": images}, "images"))
    if not found:
        raise BadSettings("images_none", field="images")
    return found


def _derived(
    project: Project, entries: Sequence[Entry], recipe: Recipe, control: TaskControl, *, instead: bool
) -> dict[str, Any]:
    folder = project.images_folder
    with noting(project, f"history.derived_{recipe.how}"):
        paths = [entry.path for entry in entries]
        made = told(derive(folder, paths, recipe, instead=instead, stop=control.stop), control)
    project.sizes.of(project.images().paths)
    control.end(Words(f"task.derived_{recipe.how}", {"count": len(made.images), "known": made.known}))
    return {"images": len(made.images), "known": made.known}


def _sizes(wanted: Mapping[str, Any], data: DataSettings) -> tuple[Size, ...]:
    if wanted.get("width") is None and wanted.get("height") is None:
        return bucket_sizes(data)
    return ((reading.whole(wanted, "width", 0, *SIDES), reading.whole(wanted, "height", 0, *SIDES)),)


def _detector(models: Sequence[Path], control: TaskControl) -> FaceDetector | None:
    choice = choose_detector(models)
    for note in choice.notes:
        control.note(note)
    return choice.detector
