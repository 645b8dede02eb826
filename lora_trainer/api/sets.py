"""Routes that change the set of a project: images taken out, cropped, made from others, drawn, and their repeats."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, LANGUAGE
from lora_trainer.api.effective import settings_of
from lora_trainer.api.services import Services
from lora_trainer.dataset.bench.notes import Noted
from lora_trainer.errors import BadSettings, Unknown
from lora_trainer.language import translate
from lora_trainer.project import reading
from lora_trainer.project.drawing import Artist, adopting, drafting, regularisation, use_regularisation
from lora_trainer.project.enlarging import cropping, deriving
from lora_trainer.project.importing import remove, remove_all_derived
from lora_trainer.project.project import Project
from lora_trainer.project.repeating import set_repeats

TAGS: list[str | Enum] = ["images"]
ORDER: dict[str, Any] = {"tags": TAGS, "dependencies": [Depends(own_page)]}
TASK: dict[str, Any] = {**ORDER, "status_code": 202}


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    _add_removals(router, services)
    _add_enlarging(router, services)
    _add_drawing(router, services)


def _add_removals(router: APIRouter, services: Services) -> None:
    projects, tasks = services.projects, services.tasks

    @router.post("/projects/{project_id}/remove", summary="Set images aside, and what was made from them", **ORDER)
    def remove_some(project_id: str, body: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        project = projects.find(project_id)
        with tasks.alone(project):
            entries = project.images().chosen(reading.texts(body, "images"))
            if not entries:
                raise BadSettings("images_none", field="images")
            before = len(project.images().entries)
            notes = remove(project, entries)
            return _gone(project, before, notes, language)

    @router.post("/projects/{project_id}/remove_derived", summary="Set faces, parts or mirror images aside", **ORDER)
    def remove_kind(project_id: str, body: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        project = projects.find(project_id)
        with tasks.alone(project):
            before = len(project.images().entries)
            notes = remove_all_derived(project, body.get("kind"))
            return _gone(project, before, notes, language)

    @router.post("/projects/{project_id}/repeats", summary="How often a folder or an image is seen", **ORDER)
    def repeats(project_id: str, body: dict[str, Any] = BODY) -> dict[str, Any]:
        project = projects.find(project_id)
        with tasks.alone(project):
            set_repeats(project, body)
        return {}


def _add_enlarging(router: APIRouter, services: Services) -> None:
    projects, tasks, host = services.projects, services.tasks, services.worker.host

    @router.post("/projects/{project_id}/crop", summary="Crop images; the originals are set aside", **TASK)
    def crop(project_id: str, body: dict[str, Any] = BODY) -> dict[str, str]:
        project = projects.find(project_id)
        work = cropping(project, body, host.paths.faces, settings_of(project, services))
        return {"task": tasks.start(project, "crop", work).id}

    @router.post("/projects/{project_id}/derive", summary="Make faces, parts or mirror images", **TASK)
    def derive(project_id: str, body: dict[str, Any] = BODY) -> dict[str, str]:
        project = projects.find(project_id)
        work = deriving(project, body, host.paths.faces, settings_of(project, services))
        return {"task": tasks.start(project, "derive", work).id}


def _add_drawing(router: APIRouter, services: Services) -> None:
    projects, tasks = services.projects, services.tasks
    artist = Artist(services.worker, lambda project: settings_of(project, services))

    @router.post(
        "/projects/{project_id}/reg", summary="Use a folder of regularisation images, or draw them as a task", **ORDER
    )
    def reg(project_id: str, body: dict[str, Any] = BODY) -> dict[str, Any]:
        project = projects.find(project_id)
        if body.get("path") is not None:
            use_regularisation(project, body["path"])
            return {}
        return {"task": tasks.start(project, "draw", regularisation(project, body, artist)).id}

    @router.post("/projects/{project_id}/drafts", summary="Draw pictures with a LoRA of a run, to choose from", **TASK)
    def draw_drafts(project_id: str, body: dict[str, Any] = BODY) -> dict[str, str]:
        project = projects.find(project_id)
        work = drafting(project, body, _lora(services, project, body), artist)
        return {"task": tasks.start(project, "draw", work).id}

    @router.post("/projects/{project_id}/adopt", summary="Add drafts to the set", **TASK)
    def adopt(project_id: str, body: dict[str, Any] = BODY) -> dict[str, str]:
        project = projects.find(project_id)
        return {"task": tasks.start(project, "import", adopting(project, body.get("pictures"))).id}


def _lora(services: Services, project: Project, body: dict[str, Any]) -> Path:
    """The file of an epoch of a run. Raises ``Unknown``."""
    watch, epoch = services.watch, reading.whole(body, "epoch", 0, 1, reading.ANY)
    with watch.view(watch.found(reading.text(body, "run"))) as view:
        files = dict(view.status.files)
    if epoch not in files or not Path(files[epoch]).is_file():
        raise Unknown("epoch_unknown", epoch=epoch)
    return Path(files[epoch])


def _gone(project: Project, before: int, notes: list[Noted], language: str) -> dict[str, Any]:
    """How many images went, and what did not."""
    count = before - len(project.images().entries)
    texts = [translate("images.removed", language, count=count), *(note.text(language) for note in notes[:3])]
    return {"text": " ".join(texts), "count": count, "notes": [note.text(language) for note in notes]}
