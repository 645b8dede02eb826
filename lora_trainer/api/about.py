"""Routes about the program and its host: versions, language, checkpoint, and all texts of the page."""

from __future__ import annotations

from enum import Enum
from typing import Any

from fastapi import APIRouter

from lora_trainer import __version__
from lora_trainer.api.edge import LANGUAGE
from lora_trainer.api.hooks import Hooks
from lora_trainer.api.machine import graphics_card
from lora_trainer.api.page import page_version
from lora_trainer.api.services import Services
from lora_trainer.api.wording import page_texts
from lora_trainer.errors import UserError
from lora_trainer.language import LANGUAGES, fixed

TAGS: list[str | Enum] = ["about"]


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    hooks, worker = services.hooks, services.worker

    @router.get("/about", tags=TAGS, summary="Version, host, graphics card and checkpoint")
    def about(language: str = LANGUAGE) -> dict[str, Any]:
        return {
            "version": __version__,
            "page": page_version(),
            "host": hooks.host,
            "language": fixed(hooks.language) or "",
            "languages": list(LANGUAGES),
            "problem": worker.problem.text(language) if worker.problem else "",
            "gpu": graphics_card(),
            "checkpoint": _checkpoint(hooks, language),
            "loras": str(worker.host.paths.loras),
            "listening_without_password": hooks.listening and hooks.password is None and not hooks.login,
        }

    @router.get("/texts", tags=TAGS, summary="All fixed texts of the page, by key")
    def texts(language: str = LANGUAGE) -> dict[str, str]:
        return page_texts(language)


def _checkpoint(hooks: Hooks, language: str) -> dict[str, str]:
    """Its title and its family, which is empty as long as nobody knows it; or why there is none."""
    try:
        title = hooks.checkpoint() if hooks.checkpoint else ""
        return {"title": title, "family": hooks.family() if hooks.family else ""}
    except UserError as error:
        return {"problem": error.text(language)}
