"""Routes of the doctor: check in the background, what was found, and remedies."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, LANGUAGE
from lora_trainer.api.effective import settings_of
from lora_trainer.api.services import Services
from lora_trainer.project import reading
from lora_trainer.project.doctoring import Doctoring, Shown

VIEW: dict[str, Any] = {"tags": ["findings"]}
ORDER: dict[str, Any] = {**VIEW, "dependencies": [Depends(own_page)]}


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    projects = services.projects
    doctoring = Doctoring(services.tasks, services.cache, lambda project: settings_of(project, services))

    @router.post(
        "/projects/{project_id}/check", summary="Look for what is wrong with the set", status_code=202, **ORDER
    )
    def check(project_id: str) -> dict[str, str]:
        return {"task": doctoring.start(projects.find(project_id)).id}

    @router.get("/projects/{project_id}/findings", summary="What the last check found", **VIEW)
    def findings(project_id: str, language: str = LANGUAGE) -> dict[str, Any]:
        verdict = doctoring.verdict(projects.find(project_id))
        found = [_told(one, language) for one in verdict.findings]
        return {"checked": verdict.checked, "stale": verdict.stale, "findings": found}

    @router.post("/projects/{project_id}/findings/{key}/fix", summary="Mend findings; undo takes it back", **ORDER)
    def fix(project_id: str, key: str, body: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, str]:
        images = reading.texts(body, "images") if "images" in body else None
        return {"text": doctoring.fix(projects.find(project_id), key, images, language)}


def _told(shown: Shown, language: str) -> dict[str, Any]:
    finding = shown.finding
    return {
        "key": finding.key,
        "severity": finding.severity,
        "what": finding.what(language),
        "why": finding.why(language),
        "help": finding.help(language),
        "remedy": bool(finding.remedy),
        "images": list(shown.images),
        "names": list(shown.names),
    }
