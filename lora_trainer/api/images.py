"""Routes of the images of a project: the list, small and large pictures of them, and sending new ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from lora_trainer.api.access import own_page, own_upload
from lora_trainer.api.edge import ASK_AGAIN, BODY, FOREVER, PACKED
from lora_trainer.api.effective import settings_of
from lora_trainer.api.services import Services
from lora_trainer.errors import BadSettings, UserError
from lora_trainer.project.drawing import draft, drafts
from lora_trainer.project.importing import importing, source_of, using_in_place
from lora_trainer.project.listing import Listing, Query, token_counter
from lora_trainer.project.project import Project
from lora_trainer.project.thumbnails import Thumbnails
from lora_trainer.project.uploads import Upload

TAGS: list[str | Enum] = ["images"]
SIZES = (160, 320)  # of thumbnails
FULL = 1600  # the longest side of a large picture
CHUNK = 1 << 20


def _query(offset: int = 0, limit: int = 60, filter: str = "", sort: str = "name", kind: str = "all") -> Query:
    return Query(offset=offset, limit=limit, filter=filter, sort=sort, kind=kind)


QUERY = Depends(_query)


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    _add_list(router, services)
    _add_pictures(router, services, Thumbnails())
    _add_uploads(router, services)


def _add_list(router: APIRouter, services: Services) -> None:
    @router.get(
        "/projects/{project_id}/images",
        tags=TAGS,
        summary="The images with captions; `filter` is an expression of tags",
    )
    def images(project_id: str, query: Query = QUERY) -> dict[str, Any]:
        project = services.projects.find(project_id)
        return Listing(project, token_counter(project, services.cache), settings_of(project, services)).page(query)


def _add_pictures(router: APIRouter, services: Services, thumbnails: Thumbnails) -> None:
    projects = services.projects

    def picture(project: Project, path: Any, side: int, version: str) -> Response:
        content = thumbnails.jpeg(path, side, project.folder / "thumbnails")
        headers = {**PACKED, "Cache-Control": FOREVER if version else ASK_AGAIN}
        return Response(content, media_type="image/jpeg", headers=headers)

    @router.get("/projects/{project_id}/images/{image_id}/thumb", tags=TAGS, summary="A small picture")
    def thumb(project_id: str, image_id: str, size: int = SIZES[0], v: str = "") -> Response:
        project = projects.find(project_id)
        return picture(project, project.images().get(image_id).path, _thumbnail_side(size), v)

    @router.get("/projects/{project_id}/images/{image_id}/full", tags=TAGS, summary="A picture of up to 1600 pixels")
    def full(project_id: str, image_id: str, v: str = "") -> Response:
        project = projects.find(project_id)
        return picture(project, project.images().get(image_id).path, FULL, v)

    @router.get("/projects/{project_id}/drafts", tags=TAGS, summary="The drafts that were drawn, the latest first")
    def all_drafts(project_id: str) -> list[dict[str, str]]:
        return [{"id": one, "name": path.name} for one, path in drafts(projects.find(project_id)).items()]

    @router.get("/projects/{project_id}/drafts/{picture_id}", tags=TAGS, summary="A draft, as a small or large picture")
    def one_draft(project_id: str, picture_id: str, size: int = FULL) -> Response:
        project = projects.find(project_id)
        side = size if size == FULL else _thumbnail_side(size)
        return picture(project, draft(project, picture_id), side, "fixed")


def _thumbnail_side(size: int) -> int:
    if size not in SIZES:
        choices = ", ".join(map(str, SIZES))
        raise BadSettings("setting_choice", field="size", name="size", value=size, choices=choices)
    return size


async def _written(parts: AsyncIterator[bytes], sending: Upload) -> None:
    """Write what is sent, part by part. Raises as ``Upload.write``."""
    waiting = bytearray()
    async for chunk in parts:
        waiting += chunk
        if len(waiting) >= CHUNK:
            await run_in_threadpool(sending.write, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(sending.write, bytes(waiting))


async def _passed_over(parts: AsyncIterator[bytes]) -> None:
    """Let a browser send the rest of what is refused: it reads no answer before."""
    with suppress(ClientDisconnect):
        async for _ in parts:
            pass


def _add_uploads(router: APIRouter, services: Services) -> None:
    projects, tasks = services.projects, services.tasks

    @router.put(
        "/projects/{project_id}/uploads/{batch}",
        tags=TAGS,
        summary="Send a file into a batch, to be imported when all are there",
        dependencies=[Depends(own_upload)],
    )
    async def upload(project_id: str, batch: str, name: str, request: Request) -> dict[str, Any]:
        project, parts = await run_in_threadpool(projects.find, project_id), request.stream()
        try:
            sending = await run_in_threadpool(project.uploads.begin, batch, name)
            try:
                await _written(parts, sending)
                kept = await run_in_threadpool(project.uploads.finish, batch, sending)
            finally:
                await run_in_threadpool(sending.drop)
        except ClientDisconnect:
            raise BadSettings("upload_broken", field="name") from None
        except UserError:
            await _passed_over(parts)
            raise
        return {"name": kept, "bytes": sending.size}

    @router.post(
        "/projects/{project_id}/import",
        tags=TAGS,
        summary="Import a batch of uploads, or a folder or ZIP on this computer; a folder may be used in place",
        status_code=202,
        dependencies=[Depends(own_page)],
    )
    def start(project_id: str, body: dict[str, Any] = BODY) -> dict[str, str]:
        project = projects.find(project_id)
        if body.get("upload") is not None:
            batch = str(body["upload"])
            work = importing(project, project.uploads.sources(batch), lambda: project.uploads.clear(batch))
        else:
            in_place = body.get("in_place") is True
            source = source_of(body.get("path", ""), in_place)
            work = using_in_place(project, source) if in_place else importing(project, [source])
        return {"task": tasks.start(project, "import", work).id}
