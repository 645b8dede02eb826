"""The routes under ``/lora_trainer/v1/``: how the runs go, their pictures, and orders to start and to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse

from lora_trainer.errors import Busy, UserError
from lora_trainer.language import translate
from lora_trainer.run import Run
from lora_trainer.settings import from_flat
from lora_trainer.ui.access import logged_in, own_page
from lora_trainer.ui.presenter import NOTHING, brief, present
from lora_trainer.ui.sending import grid_infotext
from lora_trainer.ui.watch import CURRENT, Watch, inside
from lora_trainer.ui.wording import Language, page_texts, spoken

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

log = logging.getLogger(__name__)

PREFIX = "/lora_trainer/v1"
BODY, WHEN = Body(), Body(embed=True)
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
FOREVER, ASK_AGAIN = "private, max-age=31536000, immutable", "private, no-cache"  # previews never change, a sheet may
# A report is a page of ours without scripts, and stays one whatever a prompt holds.
FROZEN = {"Content-Security-Policy": "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"}


@dataclass(frozen=True)
class Hooks:
    """What a host may add: the language it is set to, its checkpoint's title, and its own fields of an infotext."""

    language: Language = None
    checkpoint: Callable[[], str] | None = None
    extras: Callable[[], Mapping[str, object]] | None = None


def add_routes(app: FastAPI, worker: Worker, hooks: Hooks | None = None) -> None:
    """Add all routes to ``app``."""
    hooks = hooks or Hooks()
    router = APIRouter(prefix=PREFIX, dependencies=[Depends(logged_in)])
    watch = Watch(worker)
    _add_words(router, hooks)
    _add_views(router, watch, hooks)
    _add_files(router, watch)
    _add_orders(router, worker, watch, hooks)
    app.include_router(router)


def _add_words(router: APIRouter, hooks: Hooks) -> None:
    @router.get("/texts")
    def texts(request: Request, lang: str | None = None) -> dict[str, str]:
        return page_texts(_language(hooks, request, lang))

    @router.get("/checkpoint")
    def checkpoint(request: Request, lang: str | None = None) -> dict[str, str]:
        try:
            return {"title": hooks.checkpoint() if hooks.checkpoint else "", "problem": ""}
        except UserError as error:
            return {"title": "", "problem": error.text(_language(hooks, request, lang))}


def _add_views(router: APIRouter, watch: Watch, hooks: Hooks) -> None:
    @router.get("/runs")
    def runs() -> list[dict[str, Any]]:
        return [{"id": run.id, "current": run.id == _current_id(watch)} for run in watch.runs()]

    @router.get("/runs/{run_id}/status")
    def status(run_id: str, request: Request, since: int = -1, lang: str | None = None) -> dict[str, Any]:
        if run_id == CURRENT and watch.find(CURRENT) is None:
            return {**NOTHING, "busy": watch.worker.busy}
        with watch.view(_found(watch, run_id)) as view:
            shown = brief(view) if since == view.status.lines else present(view, _language(hooks, request, lang))
        return {**shown, "busy": watch.worker.busy}

    @router.get("/runs/{run_id}/infotext")
    def infotext(run_id: str, request: Request, lang: str | None = None) -> dict[str, str]:
        with watch.view(_found(watch, run_id)) as view:
            try:
                return {
                    "infotext": grid_infotext(view, watch.worker.host, hooks.extras() if hooks.extras else {}),
                    "problem": "",
                }
            except UserError as error:
                return {"infotext": "", "problem": error.text(_language(hooks, request, lang))}


def _add_files(router: APIRouter, watch: Watch) -> None:
    @router.get("/runs/{run_id}/picture/{number}")
    def picture(run_id: str, number: int) -> FileResponse:
        with watch.view(_found(watch, run_id)) as view:
            previews = view.status.previews
            path = previews[number][3] if 0 <= number < len(previews) else ""
        return _picture(view.run, path, FOREVER)

    @router.get("/runs/{run_id}/sheet")
    def sheet(run_id: str) -> FileResponse:
        with watch.view(_found(watch, run_id)) as view:
            path = view.status.sheet
        return _picture(view.run, path, ASK_AGAIN)

    @router.get("/runs/{run_id}/report")
    def report(run_id: str) -> FileResponse:
        with watch.view(_found(watch, run_id)) as view:
            path = view.status.report
        return FileResponse(
            _file(view.run, path), media_type="text/html", headers={**FROZEN, "Cache-Control": ASK_AGAIN}
        )


def _add_orders(router: APIRouter, worker: Worker, watch: Watch, hooks: Hooks) -> None:
    @router.post("/runs", dependencies=[Depends(own_page)])
    def start(request: Request, values: dict[str, Any] = BODY, lang: str | None = None) -> JSONResponse:
        language = _language(hooks, request, lang)
        try:
            return JSONResponse({"id": worker.start(from_flat(values), language).id}, 201)
        except UserError as error:
            problem = {"key": error.key, "field": error.field, "message": error.text(language)}
            return JSONResponse(problem, 409 if isinstance(error, Busy) else 422)
        except Exception as error:
            log.exception("a run could not be started")
            message = translate("ui.unexpected", language, reason=error)
            return JSONResponse({"key": "unexpected", "field": None, "message": message}, 500)

    @router.post("/runs/{run_id}/stop", dependencies=[Depends(own_page)])
    def stop(run_id: str, when: str = WHEN) -> dict[str, Any]:
        if when not in ("now", "after_epoch"):
            raise HTTPException(422, 'when: "now" or "after_epoch"')
        with watch.view(_found(watch, run_id)) as view:
            if not view.ours:
                raise HTTPException(409, "The run does not go on here")
        order(worker, when)
        with watch.view(view.run) as after:
            return brief(after)


def order(worker: Worker, when: str) -> None:
    """Ask the run that goes on to stop ``now`` or ``after_epoch``."""
    if when == "now":
        worker.commands.stop_now()
    else:
        worker.commands.stop_after_epoch()


def _language(hooks: Hooks, request: Request, lang: str | None) -> str:
    """The language that the script asks for (it knows the page's), else the host's or the browser's."""
    return spoken(lang, "") if lang else spoken(hooks.language, request.headers.get("accept-language", ""))


def _found(watch: Watch, run_id: str) -> Run:
    run = watch.find(run_id)
    if run is None:
        raise HTTPException(404, "There is no such run")
    return run


def _current_id(watch: Watch) -> str | None:
    current = watch.find(CURRENT)
    return current.id if current else None


def _file(run: Run, relative: str) -> Path:
    path = inside(run.folder, relative)
    if path is None:
        raise HTTPException(404, "There is no such file")
    return path


def _picture(run: Run, relative: str, kept: str) -> FileResponse:
    path = _file(run, relative)
    if path.suffix.lower() not in PICTURES:
        raise HTTPException(404, "There is no such picture")
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return FileResponse(path, media_type=PICTURES[path.suffix.lower()], headers=headers)
