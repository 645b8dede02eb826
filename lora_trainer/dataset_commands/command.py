"""What every command on a folder of images has in common: how it is described, and how it speaks while it works."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lora_trainer.captions.selection import Selection
    from lora_trainer.project.project import Project
    from lora_trainer.project.tasks import Task, Tasks, Work

Say = Callable[[str], None]
Results = tuple[int, dict[str, Any]]  # the exit status, and what ``--json`` prints
INTERRUPTED = 130
POLL_S = 0.2
SHOWN = 300  # letters of a name or caption that are printed


@dataclass(frozen=True, slots=True)
class DatasetCommand:
    """One command on a folder. ``run`` says lines, and returns the exit status and what ``--json`` prints."""

    name: str
    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, str, Say], Results]
    folder: str = "folder of images, flat or with N_name sub-folders"


def no_options(command: argparse.ArgumentParser) -> None:
    """Nothing besides the folder."""


def add_selection(command: argparse.ArgumentParser) -> None:
    """Options for which images are meant; all without them."""
    group = command.add_mutually_exclusive_group()
    group.add_argument(
        "--filter",
        metavar="EXPRESSION",
        help="only images whose tags fulfil it: 'hat and not (red* or \"a, b\")'; 'not *' finds untagged ones",
    )
    group.add_argument(
        "--images",
        nargs="+",
        metavar="NAME",
        help="only these images, by their names in the folder; * and ? may stand in",
    )


def selection_of(options: argparse.Namespace, project: Project) -> Selection:
    """The images that the options mean. Raises ``BadSettings`` for a name that no image has, and ``BadDataset``."""
    from fnmatch import fnmatchcase

    from lora_trainer.captions.selection import Everything, Filtered, Listed
    from lora_trainer.errors import BadSettings

    if options.filter is not None:
        return Filtered(options.filter)
    if options.images is None:
        return Everything()
    entries, wanted = project.images().entries, list[Any]()
    for name in options.images:
        found = [one for one in entries if name in (one.name, str(one.path)) or fnmatchcase(one.name, name)]
        if not found:
            raise BadSettings("image_unmatched", field="images", name=shown(name), folder=project.images_folder)
        wanted += found
    return Listed(tuple(dict.fromkeys(one.path for one in wanted)))


def chosen_images(options: argparse.Namespace, project: Project) -> list[Any]:
    """The paths of the images that the options mean. Raises as ``selection_of``."""
    from lora_trainer.project.captioning import chosen

    return chosen(project, selection_of(options, project))


def perform(project: Project, kind: str, work: Work, language: str, say: Say) -> Results:
    """Do the work of a task, and say what it says."""
    from lora_trainer.project.tasks import Tasks

    tasks = Tasks()
    return follow(tasks, tasks.start(project, kind, work), language, say)


def follow(tasks: Tasks, task: Task, language: str, say: Say) -> Results:
    """Say what a task says until its end; Ctrl-C ends it early, and what is done by then is kept."""
    from lora_trainer.project.tasks import CANCELLED, DONE, RUNNING

    told, running = 0, True
    while running:
        try:
            tasks.wait(task.id, POLL_S)
        except KeyboardInterrupt:
            tasks.cancel(task.id)
        running = task.state == RUNNING
        notes = task.to_dict(language)["notes"]
        for note in notes[told:]:
            say(note)
        told = len(notes)
        _show_progress(f"{task.done} / {task.total}" if running and task.total else "")
    found = task.to_dict(language)
    if found["message"]:
        (say if task.state == DONE else _complain)(found["message"])
    status = {DONE: 0, CANCELLED: INTERRUPTED}.get(task.state, 1)
    return status, {**found["result"], "state": task.state, "notes": found["notes"], "message": found["message"]}


def columns(rows: Sequence[Sequence[object]], say: Say) -> None:
    """Say a table, its columns one under the other."""
    texts = [[shown(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in texts) for place in range(len(texts[0]))] if texts else []
    for row in texts:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def shown(text: str) -> str:
    """What users or files named, on one line, without what moves the cursor."""
    from lora_trainer.dataset.bench.notes import shown as plain

    return plain(text, SHOWN)


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _show_progress(text: str) -> None:
    """One line that is written over, where somebody looks."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:<30}\r")
        sys.stderr.flush()
