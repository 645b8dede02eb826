"""Routes of captions: tags and how often they occur, edits with a preview, and what to bind to the trigger."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, LANGUAGE
from lora_trainer.api.effective import settings_of
from lora_trainer.api.services import Services
from lora_trainer.captions.results import Outcome, Preview
from lora_trainer.language import translate
from lora_trainer.project import reading
from lora_trainer.project.captioning import MOST_TAGS, Captioning, Edit, chosen, told
from lora_trainer.project.listing import Listing, token_counter
from lora_trainer.project.project import Project

VIEW: dict[str, Any] = {"tags": ["captions"]}
ORDER: dict[str, Any] = {**VIEW, "dependencies": [Depends(own_page)]}


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    captioning = Captioning(services.tasks)
    _add_lists(router, services, captioning)
    _add_edits(router, services, captioning)


def _add_lists(router: APIRouter, services: Services, captioning: Captioning) -> None:
    projects = services.projects

    @router.get("/projects/{project_id}/tags", summary="How often tags occur; `filter` picks images", **VIEW)
    def tags(
        project_id: str, filter: str = "", search: str = "", limit: int = MOST_TAGS, language: str = LANGUAGE
    ) -> dict[str, Any]:
        found = captioning.tags(projects.find(project_id), filter, search, limit)
        return {
            "untagged": found.untagged,
            "tags": [{"tag": row.tag, "count": row.images} for row in found.rows],
            "total": found.total,
            "notes": told(found.unread, language),
        }

    @router.get("/projects/{project_id}/bindings", summary="Tags that would better go, and why", **VIEW)
    def bindings(project_id: str, language: str = LANGUAGE) -> dict[str, Any]:
        found = captioning.bindings(projects.find(project_id))
        rows = [
            {"tag": one.tag, "count": one.images, "share": round(one.share, 4), "text": one.text(language)}
            for one in found
        ]
        return {"text": translate("captions.bind_why", language), "bindings": rows}


def _add_edits(router: APIRouter, services: Services, captioning: Captioning) -> None:
    projects = services.projects

    @router.post("/projects/{project_id}/captions/preview", summary="What an edit would change", **ORDER)
    def preview(project_id: str, body: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        project = projects.find(project_id)
        edit = captioning.edit(project, body)
        return _previewed(project, edit, captioning.preview(project, edit), language)

    @router.post("/projects/{project_id}/captions/apply", summary="Edit captions; undo takes it back", **ORDER)
    def apply(project_id: str, body: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        project = projects.find(project_id)
        edit = captioning.edit(project, body)
        count = len(chosen(project, edit.selection))
        return _applied(edit, captioning.apply(project, edit), count, language)

    @router.put("/projects/{project_id}/images/{image}/caption", summary="Write one image's caption", **ORDER)
    def write(project_id: str, image: str, body: dict[str, Any] = BODY) -> dict[str, Any]:
        project = projects.find(project_id)
        entry = project.images().get(image)
        captioning.write(project, entry.path, reading.text(body, "text", most=reading.ANY))
        return Listing(project, token_counter(project, services.cache), settings_of(project, services)).items([entry])[
            0
        ]


def _previewed(project: Project, edit: Edit, found: Preview, language: str) -> dict[str, Any]:
    index = project.images()
    samples = [
        {"image": entry.id, "before": one.before or "", "after": one.after}
        for one in found.samples
        if (entry := index.of(one.image))
    ]
    values = {"changes": found.images, "of": found.selected}
    text = translate(f"edit.{edit.kind}" if found.selected else "edit.nothing", language, **values)
    return {**values, "text": text, "samples": samples}


def _applied(edit: Edit, outcome: Outcome, count: int, language: str) -> dict[str, Any]:
    key, values = edit.operation.title
    done = translate(key, language, **values)
    text = translate("edit.applied", language, done=done, changes=outcome.images)
    notes = told(outcome.refused, language)
    return {"changes": outcome.images, "of": count, "text": text, "samples": [], "notes": notes}
