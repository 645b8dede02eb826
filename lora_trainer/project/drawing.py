"""Pictures that the host draws for a set: regularisation images, and drafts to choose new images from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_trainer.dataset.bench.derived import images_in
from lora_trainer.dataset.bench.drawing import DrawingPlan, draw_images
from lora_trainer.dataset.bench.importing import import_images
from lora_trainer.dataset.scan import folder_of
from lora_trainer.errors import BadDataset, BadSettings, Unknown
from lora_trainer.host.protocol import ImageRequest
from lora_trainer.project import reading
from lora_trainer.project.changes import noting
from lora_trainer.project.images import image_id
from lora_trainer.project.importing import told
from lora_trainer.project.project import Project
from lora_trainer.project.tasks import TaskControl, Work
from lora_trainer.project.words import Words
from lora_trainer.settings import Settings
from lora_trainer.settings.field import MAX_SEED

if TYPE_CHECKING:
    from lora_trainer.host.protocol import Host

REG, DRAFTS = "reg", "drafts"
MOST_PICTURES = 5000
MOST_PROMPT = 5000  # letters
LOOK_S = 0.5  # between two looks at whether it is our turn


class Artist:
    """Whoever draws, when no run trains: what the worker and its host offer. ``settings_of`` tells what a project
    would train with, since drawn images are to have that size."""

    def __init__(self, worker: Any, settings_of: Callable[[Project], Settings] = Project.effective) -> None:
        self._worker, self.settings_of = worker, settings_of

    @property
    def host(self) -> Host:
        """Who draws."""
        host: Host = self._worker.host
        return host

    def await_turn(self, control: TaskControl) -> None:
        """Wait until no run trains, or until the task is to end: a task never holds the card beside a run."""
        while self._worker.busy and not control.stop():
            control.progress(control.task.done, control.task.total, Words("task.waits"))
            time.sleep(LOOK_S)
        control.progress(control.task.done, control.task.total, Words(f"task.{control.task.kind}"))


def use_regularisation(project: Project, path: object) -> None:
    """Take a folder of regularisation images, or with "" none. Raises ``BadDataset`` and ``BadSettings``."""
    folder = folder_of(reading.text({"path": path}, "path"))
    if folder is None:
        project.change_settings({"reg_data_dir": None})
        return
    if not folder.is_dir():
        raise BadDataset("folder_missing", field="path", folder=folder)
    if not images_in(folder):
        raise BadDataset("in_place_empty", field="path", folder=folder)
    project.change_settings({"reg_data_dir": str(folder)})


def regularisation(project: Project, wanted: Mapping[str, Any], artist: Artist) -> Work:
    """The work of drawing regularisation images from the base model: called again, it goes on. Raises
    ``BadSettings``."""
    plan = _plan(artist.settings_of(project), wanted)

    def work(control: TaskControl) -> dict[str, Any]:
        artist.await_turn(control)
        if control.stop():
            return {"images": 0}
        folder = project.folder / REG
        made = told(draw_images(artist.host, folder, plan, control.stop), control)
        if made.images or made.known:
            project.change_settings({"reg_data_dir": str(folder)})
        control.end(Words("task.drawn", {"count": len(made.images), "known": made.known}))
        return {"images": len(made.images), "known": made.known, "folder": str(folder)}

    return work


def drafting(project: Project, wanted: Mapping[str, Any], lora: Path, artist: Artist) -> Work:
    """The work of drawing pictures with a draft LoRA, of which the good ones can join the set. Raises
    ``BadSettings``."""
    plan = _plan(artist.settings_of(project), wanted, lora, reading.number(wanted, "weight", 1.0, -2, 2))

    def work(control: TaskControl) -> dict[str, Any]:
        artist.await_turn(control)
        if control.stop():
            return {"pictures": []}
        made = told(draw_images(artist.host, project.folder / DRAFTS, plan, control.stop), control)
        control.end(Words("task.drawn", {"count": len(made.images), "known": made.known}))
        names = [f"{plan.subset}/{name}" for name in plan.requests()]
        return {"pictures": [image_id(name) for name in names if (project.folder / DRAFTS / name).is_file()]}

    return work


def drafts(project: Project) -> dict[str, Path]:
    """The drafts that were drawn, by their ids, the latest first."""
    folder = project.folder / DRAFTS
    if not folder.is_dir():
        return {}
    found = sorted(images_in(folder), key=lambda path: (-path.stat().st_mtime, path.name))
    return {image_id(path.relative_to(folder).as_posix()): path for path in found}


def draft(project: Project, picture: str) -> Path:
    """The draft of that id. Raises ``Unknown``."""
    found = drafts(project).get(picture)
    if found is None:
        raise Unknown("image_unknown")
    return found


def adopting(project: Project, pictures: object) -> Work:
    """The work of adding drafts to the set, with their prompts as captions. Raises ``Unknown`` and ``BadSettings``."""
    files = [draft(project, one) for one in reading.texts({"pictures": pictures}, "pictures")]
    if not files:
        raise BadSettings("images_none", field="pictures")

    def work(control: TaskControl) -> dict[str, Any]:
        with noting(project, "history.adopted"):
            made = told(import_images(files, project.images_folder, control.stop), control)
        control.end(Words("task.imported", {"count": len(made.images), "known": made.known}))
        return {"images": len(made.images), "known": made.known}

    return work


def _plan(settings: Settings, wanted: Mapping[str, Any], lora: Path | None = None, weight: float = 1.0) -> DrawingPlan:
    """What is drawn, in the resolution of the training. Raises ``BadSettings``."""
    prompt = reading.text(wanted, "prompt", most=MOST_PROMPT)
    if not prompt.strip():
        raise BadSettings("draw_nothing", field="prompt")
    count = reading.whole(wanted, "count", 0, 1, MOST_PICTURES)
    seed = reading.whole(wanted, "seed", 1, 0, MAX_SEED)
    samples, side = settings.samples, settings.data.resolution // 8 * 8
    request = ImageRequest(
        prompt=prompt,
        negative_prompt=reading.text(wanted, "negative_prompt", samples.negative_prompt, MOST_PROMPT),
        seed=seed,
        steps=samples.sample_steps,
        cfg_scale=samples.cfg_scale,
        width=samples.sample_width or side,
        height=samples.sample_height or side,
        lora=lora,
        weight=weight,
    )
    return DrawingPlan(request=request, count=count)
