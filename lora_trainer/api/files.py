"""Routes of a run's files: its previews, the sheet of its grid, its report."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from lora_trainer.api.edge import ASK_AGAIN, FOREVER, PACKED
from lora_trainer.api.services import Services
from lora_trainer.api.watch import inside
from lora_trainer.errors import Unknown
from lora_trainer.run import Run

TAGS: list[str | Enum] = ["runs"]
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
# A report is a page of ours without scripts, and stays one whatever a prompt holds.
FROZEN = {"Content-Security-Policy": "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"}


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    watch = services.watch

    @router.get("/runs/{run_id}/picture/{number}", tags=TAGS, summary="A preview picture")
    def preview(run_id: str, number: int) -> FileResponse:
        with watch.view(watch.found(run_id)) as view:
            previews = view.status.previews
            path = previews[number][3] if 0 <= number < len(previews) else ""
        return picture(view.run, path, FOREVER)

    @router.get("/runs/{run_id}/sheet", tags=TAGS, summary="The whole grid as one picture")
    def sheet(run_id: str) -> FileResponse:
        with watch.view(watch.found(run_id)) as view:
            path = view.status.sheet
        return picture(view.run, path, ASK_AGAIN)

    @router.get("/runs/{run_id}/report", tags=TAGS, summary="The report as one page")
    def report(run_id: str) -> FileResponse:
        with watch.view(watch.found(run_id)) as view:
            path = view.status.report
        headers = {**FROZEN, "Cache-Control": ASK_AGAIN}
        return FileResponse(_file(view.run, path), media_type="text/html", headers=headers)


def picture(run: Run, relative: str, kept: str) -> FileResponse:
    """A picture of a run by its path in the run folder. Raises ``Unknown`` when that is none of its pictures."""
    path = _file(run, relative)
    if path.suffix.lower() not in PICTURES:
        raise Unknown("file_unknown")
    return FileResponse(path, media_type=PICTURES[path.suffix.lower()], headers={**PACKED, "Cache-Control": kept})


def _file(run: Run, relative: str) -> Path:
    path = inside(run.folder, relative)
    if path is None:
        raise Unknown("file_unknown")
    return path
