"""Routes of the page's own files. Their version is in their address, so that a browser keeps them for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from lora_trainer.api.edge import ASK_AGAIN, FOREVER
from lora_trainer.api.services import Services
from lora_trainer.errors import Unknown

FOLDER = Path(__file__).resolve().parent.parent / "ui" / "page"
KINDS = {".mjs": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


def page_files(folder: Path = FOLDER) -> dict[str, Path]:
    """The page's files by their names relative to its folder, with ``/`` between."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in KINDS and path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found}


def page_version(folder: Path = FOLDER) -> str:
    """Twelve hex digits of all files: another one as soon as a file is another."""
    digest = hashlib.sha256()
    for name, path in page_files(folder).items():
        digest.update(f"{name}\0".encode())
        digest.update(path.read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()[:12]


def add(router: APIRouter, services: Services) -> None:
    """Add the route. A file is looked up by its name, never by joining it to a path."""

    @router.get("/page/{version}/{name:path}", include_in_schema=False)
    def file(version: str, name: str) -> Response:
        path = page_files().get(name)
        if path is None:
            raise Unknown("page_file_unknown", name=name)
        kept = FOREVER if version == page_version() else ASK_AGAIN
        headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type=KINDS[path.suffix], headers=headers)
