"""Routes of the projects: which there are, what they hold, and their one undo and redo."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, LANGUAGE
from lora_trainer.api.effective import settings_of
from lora_trainer.api.services import Services
from lora_trainer.dataset.scan import folder_of
from lora_trainer.errors import BadDataset, BadSettings, UserError
from lora_trainer.language import translate
from lora_trainer.presets.composing import find_built_in
from lora_trainer.project import reading
from lora_trainer.project.images import ImageIndex, look_through
from lora_trainer.project.length import balance_of, groups
from lora_trainer.project.listing import derived_by_name
from lora_trainer.project.project import GOALS, Project
from lora_trainer.settings import Settings

TAGS: list[str | Enum] = ["projects"]
CHANGEABLE = ("name", "goal", "preset")


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    _add_list(router, services)
    _add_one(router, services)
    _add_history(router, services)


def _add_list(router: APIRouter, services: Services) -> None:
    projects = services.projects

    @router.get("/projects", tags=TAGS, summary="All projects, the last used first")
    def all_projects() -> list[dict[str, Any]]:
        return [_brief(project, services) for project in projects.list()]

    @router.post("/projects", tags=TAGS, summary="Make a project", status_code=201, dependencies=[Depends(own_page)])
    def create(body: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        made = projects.create(reading.text(body, "name"), reading.choice(body, "goal", GOALS[0], GOALS))
        _begin_as_usual(made, services)
        return whole(made, services, language)


def _begin_as_usual(project: Project, services: Services) -> None:
    """Give a new project the preset that the host's settings name; one that is gone counts for nothing."""
    wanted = services.hooks.defaults().get("preset", "")
    if not wanted:
        return
    own = next((one.id for one in services.presets.list() if wanted in (one.id, one.name)), "")
    if own or find_built_in(wanted):
        project.change({"preset": own or wanted})


def _add_one(router: APIRouter, services: Services) -> None:
    projects = services.projects

    @router.get("/projects/{project_id}", tags=TAGS, summary="A project, its settings and what its set holds")
    def one(project_id: str, language: str = LANGUAGE) -> dict[str, Any]:
        return whole(projects.find(project_id), services, language)

    @router.patch(
        "/projects/{project_id}",
        tags=TAGS,
        summary="Change name, goal, preset or settings; null takes a setting back",
        dependencies=[Depends(own_page)],
    )
    def change(project_id: str, body: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        project = projects.find(project_id)
        unknown = [name for name in body if name not in (*CHANGEABLE, "settings")]
        if unknown:
            raise BadSettings("setting_unknown", field=unknown[0], name=unknown[0])
        settings = reading.mapping(body, "settings")
        with project.turn:
            project.check_settings(settings)
            project.change({name: body[name] for name in CHANGEABLE if name in body})
            if settings:
                project.change_settings(settings)
        return whole(project, services, language)

    @router.delete(
        "/projects/{project_id}",
        tags=TAGS,
        summary="Move a project to the trash; a folder used in place stays where it is",
        dependencies=[Depends(own_page)],
    )
    def delete(project_id: str) -> dict[str, Any]:
        with services.tasks.alone(projects.find(project_id)):
            return {"trash": str(projects.delete(project_id))}


def _add_history(router: APIRouter, services: Services) -> None:
    for way in ("undo", "redo"):
        _add_step(router, services, way)


def _add_step(router: APIRouter, services: Services, way: str) -> None:
    summary = {
        "undo": "Take the last change of the set back: captions, images, remedies",
        "redo": "Make the change that was undone last again",
    }

    @router.post(f"/projects/{{project_id}}/{way}", tags=TAGS, summary=summary[way], dependencies=[Depends(own_page)])
    def step(project_id: str, language: str = LANGUAGE) -> dict[str, str]:
        project = services.projects.find(project_id)
        with services.tasks.alone(project):
            history = project.history
            return {"text": history.undo(language) if way == "undo" else history.redo(language)}


def whole(project: Project, services: Services, language: str) -> dict[str, Any]:
    """All that the page is told of a project. A set that cannot be read is told as ``problem``."""
    values, task = project.read(), services.tasks.running(project.id)
    told = {
        **values,
        "images": str(project.images_folder),
        "folder": str(project.folder),
        "state": _state(project, services, values),
        "task": task.to_dict(language) if task else None,
        **dict.fromkeys(("count", "tagged", "derived", "reg"), 0),
        "folders": [],
        "sentence": "",
        "note": _shared(project, services, language),
        "problem": None,
    }
    try:
        _tell_set(told, project, services, language)
    except UserError as error:
        told["problem"] = {"key": error.key, "field": error.field, "message": error.text(language)}
    undo, redo = project.history.next_words()
    told.update(can_undo=undo is not None, undo_text=undo.text(language) if undo else "")
    told.update(can_redo=redo is not None, redo_text=redo.text(language) if redo else "")
    return told


def _shared(project: Project, services: Services, language: str) -> str:
    """What to know of a set that lies where another project's does, as after *Train further*; empty otherwise."""
    own = project.images_folder.resolve()
    others = [one for one in services.projects.list() if one.id != project.id and one.images_folder.resolve() == own]
    return translate("project.shared", language, name=others[0].read()["name"]) if others else ""


def _tell_set(told: dict[str, Any], project: Project, services: Services, language: str) -> None:
    """Add what the set holds, as far as it can be read. Raises ``UserError`` for the rest."""
    index = project.images()
    told["count"], told["derived"] = len(index.entries), _count_derived(index)
    settings = settings_of(project, services)
    told["folders"] = [group.to_dict() for group in groups(index, settings.data)]
    told["reg"] = _count_regularisation(settings)
    balance = balance_of(project, settings)
    told["sentence"] = balance.sentence(language) if balance else ""
    store = project.captions()
    told["tagged"] = sum(len(one.images) for one in store.captions if one.tags) if store else 0


def _count_derived(index: ImageIndex) -> int:
    derived = derived_by_name(index)
    return sum(entry.name in derived for entry in index.entries)


def _count_regularisation(settings: Settings) -> int:
    folder = folder_of(settings.data.reg_data_dir)
    try:
        return len(look_through(folder).entries) if folder else 0
    except BadDataset:  # it is told where the training is planned
        return 0


def _brief(project: Project, services: Services) -> dict[str, Any]:
    values = project.read()
    try:
        count = len(project.images().entries)
    except UserError:  # told when the project is opened
        count = 0
    return {
        **{name: values[name] for name in ("id", "name", "goal")},
        "images": count,
        "state": _state(project, services, values),
    }


def _state(project: Project, services: Services, values: Mapping[str, Any]) -> str:
    """``working`` while a task goes on, ``training`` while a run of it does, ``trained`` where it has runs."""
    if services.tasks.running(project.id):
        return "working"
    run = services.worker.run
    if services.worker.busy and run is not None and run.id in values["runs"]:
        return "training"
    return "trained" if values["runs"] else "new"
