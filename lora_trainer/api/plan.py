"""Routes before a run: what it would take, and the order to start it or to line it up."""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, LANGUAGE
from lora_trainer.api.schema import body
from lora_trainer.api.services import Services
from lora_trainer.errors import BadDataset
from lora_trainer.project import reading
from lora_trainer.project.length import planned_dataset
from lora_trainer.project.project import Project

if TYPE_CHECKING:
    from lora_trainer.forecast.planning import Outlook, Wanted

TAGS: list[str | Enum] = ["training"]


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""

    @router.get("/projects/{project_id}/plan", tags=TAGS, summary="Steps, time, memory and disk of a run, and problems")
    def plan(project_id: str, language: str = LANGUAGE) -> dict[str, Any]:
        from lora_trainer.forecast.planning import changed_from, told

        project = services.projects.find(project_id)
        outlook = services.planner.outlook(wanted_of(project, services))
        shown = told(outlook, services.worker.host.paths.runs, language)
        return {**shown, "changed": changed_from(outlook.preset, project.settings)}

    @router.post(
        "/projects/{project_id}/start",
        tags=TAGS,
        summary="Start a run, or with `queue` let it wait for its turn",
        dependencies=[Depends(own_page)],
        openapi_extra=body({"queue": {"type": "boolean", "default": False}}),
    )
    def start(project_id: str, values: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        project = services.projects.find(project_id)
        outlook = sound(project, services)
        if reading.of_type(values, "queue", False, bool) and (services.worker.busy or services.queue.entries()):
            return {"queued": services.queue.add(project.id, outlook.settings, language).id}
        run = services.worker.start(outlook.settings, language)
        services.note_run(project.id, run.id)
        services.queue.wake()
        return {"run": run.id}


def sound(project: Project, services: Services) -> Outlook:
    """The outlook of a project whose run can begin. Raises the first problem."""
    outlook = services.planner.outlook(wanted_of(project, services))
    if outlook.problems:
        raise outlook.problems[0]
    return outlook


def wanted_of(project: Project, services: Services) -> Wanted:
    """What the user has set for a project."""
    from lora_trainer.forecast.planning import Wanted

    values = project.read()
    try:
        images = len(project.images().entries)
    except BadDataset:  # said among the problems
        images = 0
    return Wanted(
        goal=values["goal"],
        preset=values["preset"],
        settings={**values["settings"], "images": str(project.images_folder)},
        images=images,
        title=values["name"],
        taken=frozenset(entry.name for entry in services.queue.entries()),
        dataset=partial(planned_dataset, project),
    )
