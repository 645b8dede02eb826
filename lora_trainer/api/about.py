"""Routes about the program and its host: versions, language, checkpoint, and all texts of the page."""

from __future__ import annotations

from fastapi import APIRouter

from lora_trainer.api.edge import LANGUAGE
from lora_trainer.api.services import Services
from lora_trainer.api.wording import page_texts
from lora_trainer.errors import UserError

TAGS = ["about"]


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""

    @router.get("/texts", tags=TAGS, summary="All fixed texts of the page, by key")
    def texts(language: str = LANGUAGE) -> dict[str, str]:
        return page_texts(language)

    @router.get("/checkpoint", tags=TAGS, summary="The checkpoint that would be trained on", deprecated=True)
    def checkpoint(language: str = LANGUAGE) -> dict[str, str]:
        title = services.hooks.checkpoint
        try:
            return {"title": title() if title else "", "problem": ""}
        except UserError as error:
            return {"title": "", "problem": error.text(language)}
