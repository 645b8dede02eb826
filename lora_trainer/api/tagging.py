"""Routes of tagging: which taggers there are, with which options, and the order to begin."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, LANGUAGE
from lora_trainer.api.services import Services
from lora_trainer.project import reading
from lora_trainer.project.captioning import selection_of
from lora_trainer.project.taggers import Taggers
from lora_trainer.project.tagging import Tagging, TaggingOptions
from lora_trainer.tagging.download import Sources

VIEW: dict[str, Any] = {"tags": ["tagging"]}
ORDER: dict[str, Any] = {**VIEW, "dependencies": [Depends(own_page)], "status_code": 202}
OFFLINE = "taggers"  # beside the projects: where models may be put by hand


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    worker, projects = services.worker, services.projects
    usual = Sources(folder=projects.root.parent / OFFLINE)
    taggers = Taggers(worker.host, services.hooks.sources or (lambda: usual))
    tagging = Tagging(taggers, services.tasks, lambda: worker.busy, lambda: services.hooks.defaults().get("tagger", ""))

    @router.get("/taggers", summary="All taggers, and whether their models are on this computer", **VIEW)
    def options(language: str = LANGUAGE) -> list[dict[str, Any]]:
        return [
            {
                "name": one.name,
                "title": one.title(language),
                "kind": one.kind,
                "present": one.present,
                "size": one.size,
                "threshold": taggers.threshold(one.name),
                "text": one.text(language),
            }
            for one in taggers.options()
        ]

    @router.get("/projects/{project_id}/tagging", summary="The options that were used last", **VIEW)
    def last(project_id: str) -> dict[str, Any]:
        return asdict(tagging.options(projects.find(project_id)))

    @router.post("/projects/{project_id}/tag", summary="Tag images in the background", **ORDER)
    def tag(project_id: str, body: dict[str, Any] = BODY) -> dict[str, str]:
        project = projects.find(project_id)
        wanted = TaggingOptions.read({**asdict(tagging.options(project)), **body})
        selection = selection_of(reading.mapping(body, "selection"), project.images())
        return {"task": tagging.start(project, wanted, selection, reading.of_type(body, "download", False, bool)).id}
