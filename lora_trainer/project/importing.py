"""Getting images into a set, and out of it: copies, a folder used in place, removals that can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from lora_trainer.dataset.bench.derived import derived_in, remove_derived, remove_images
from lora_trainer.dataset.bench.importing import import_images, use_in_place
from lora_trainer.dataset.bench.notes import CannotWrite, Made, Noted
from lora_trainer.dataset.bench.sources import is_folder
from lora_trainer.dataset.scan import folder_of
from lora_trainer.errors import BadDataset, BadSettings
from lora_trainer.events import Event, Progress
from lora_trainer.project import reading
from lora_trainer.project.changes import noting, unwritable
from lora_trainer.project.images import Entry
from lora_trainer.project.project import Project
from lora_trainer.project.tasks import TaskControl, TaskFailed, Work
from lora_trainer.project.words import Words

HOWS = {"faces": "face", "split": "split", "mirror": "mirror"}  # kinds of derived images by their name in the record


def importing(project: Project, sources: Sequence[Path], clear: Callable[[], None] = lambda: None) -> Work:
    """The work of copying what is in ``sources`` into the set; ``clear`` is called when it is done."""

    def work(control: TaskControl) -> dict[str, Any]:
        folder = project.images_folder
        with noting(project, "history.imported"):
            made = told(import_images(sources, folder, control.stop), control)
        if made.outcome == "finished":
            clear()
        project.sizes.of(project.images().paths)  # so that the list opens quickly
        control.end(Words("task.imported", {"count": len(made.images), "known": made.known}))
        return {"images": len(made.images), "known": made.known}

    return work


def using_in_place(project: Project, folder: Path) -> Work:
    """The work of looking through a folder that is the set from then on."""

    def work(control: TaskControl) -> dict[str, Any]:
        made = told(use_in_place(folder, control.stop), control)
        if control.stop():
            return {"images": 0, "known": 0}
        if not made.images:
            raise BadDataset("in_place_empty", field="path", folder=folder)
        with project.turn:
            before = project.read()
            project.change({"images": str(folder), "in_place": True})
            project.history.place_changed("history.in_place", {"folder": folder.name}, before)
        project.sizes.of(project.images().paths)
        control.end(Words("task.in_place", {"count": len(made.images), "folder": folder.name}))
        return {"images": len(made.images), "known": 0}

    return work


def source_of(path: object, in_place: bool) -> Path:
    """The folder or archive that the user names. Raises ``BadSettings`` and ``BadDataset``."""
    source = folder_of(reading.text({"path": path}, "path"))
    if source is None:
        raise BadSettings("import_nothing", field="path")
    if in_place and source.is_file():
        raise BadDataset("folder_is_file", field="path", folder=source)
    if not source.is_file() and not is_folder(source):
        raise BadDataset("folder_missing", field="path", folder=source)
    return source


def told(events: Iterable[Event], control: TaskControl) -> Made:
    """Hand what the bench tells to the task. Raises ``TaskFailed`` with the last note where the work failed."""
    made, last = Made(images=(), known=0, outcome="finished"), None
    for event in events:
        if isinstance(event, Progress):
            control.progress(event.done, event.total)
        elif isinstance(event, Noted):
            control.note(event)
            last = event
        elif isinstance(event, Made):
            made = event
    if made.outcome == "failed" and last is not None:
        raise TaskFailed(last)
    return made


def remove(project: Project, entries: Sequence[Entry]) -> list[Noted]:
    """Set images aside, and what was made from them. What was changed since it was made stays, with a note.

    Raises ``BadDataset``.
    """
    folder = project.images_folder
    return _removed(project, "history.removed", lambda: remove_images(folder, [entry.path for entry in entries]))


def remove_all_derived(project: Project, kind: object) -> list[Noted]:
    """Set the derived images of a kind aside, or of ``"all"`` kinds; crops stand for their originals and stay.

    Raises ``BadSettings`` for an unknown kind, and ``BadDataset``.
    """
    kind = reading.choice({"kind": kind}, "kind", "", (*HOWS, "all"))
    folder = project.images_folder
    wanted = set(HOWS.values()) if kind == "all" else {HOWS[kind]}
    chosen = [one for one in derived_in(folder) if one.how in wanted]
    return _removed(project, "history.removed_derived", lambda: remove_derived(folder, chosen))


def _removed(project: Project, title: str, work: Callable[[], Iterable[Noted | str]]) -> list[Noted]:
    try:
        with noting(project, title):
            return [note for note in work() if isinstance(note, Noted)]
    except CannotWrite as error:
        raise unwritable(project.images_folder, error) from error
