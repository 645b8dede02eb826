"""Routes of the work that goes on in the background."""

from __future__ import annotations

from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import LANGUAGE
from lora_trainer.api.services import Services

TAGS: list[str | Enum] = ["tasks"]


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    tasks = services.tasks

    @router.get("/tasks", tags=TAGS, summary="The tasks of a project, the latest first")
    def of_project(project: str, language: str = LANGUAGE) -> list[dict[str, Any]]:
        return [task.to_dict(language) for task in tasks.of(services.projects.find(project).id)]

    @router.get("/tasks/{task_id}", tags=TAGS, summary="How far a task is, and how it ended")
    def one(task_id: str, language: str = LANGUAGE) -> dict[str, Any]:
        return tasks.find(task_id).to_dict(language)

    @router.post("/tasks/{task_id}/cancel", tags=TAGS, summary="Ask a task to end", dependencies=[Depends(own_page)])
    def cancel(task_id: str, language: str = LANGUAGE) -> dict[str, Any]:
        return tasks.cancel(task_id).to_dict(language)
