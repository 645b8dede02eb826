"""Routes of the runs: which there are, how they go, and orders to start and to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, LANGUAGE
from lora_trainer.api.presenter import NOTHING, brief, present
from lora_trainer.api.sending import grid_infotext
from lora_trainer.api.services import Services
from lora_trainer.api.watch import CURRENT
from lora_trainer.errors import BadSettings, Busy, UserError
from lora_trainer.settings import from_flat

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

TAGS = ["runs"]
ORDERS = ("now", "after_epoch")


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    _add_views(router, services)
    _add_orders(router, services)


def _add_views(router: APIRouter, services: Services) -> None:
    watch, worker, extras = services.watch, services.worker, services.hooks.extras

    @router.get("/runs", tags=TAGS, summary="All runs, the newest first")
    def runs() -> list[dict[str, Any]]:
        current = watch.find(CURRENT)
        return [{"id": run.id, "current": current is not None and run.id == current.id} for run in watch.runs()]

    @router.get("/runs/{run_id}/status", tags=TAGS, summary="How a run goes; `current` is the one at hand")
    def status(run_id: str, since: int = -1, language: str = LANGUAGE) -> dict[str, Any]:
        if run_id == CURRENT and watch.find(CURRENT) is None:
            return {**NOTHING, "busy": worker.busy}
        with watch.view(watch.found(run_id)) as view:
            shown = brief(view) if since == view.status.lines else present(view, language)
        return {**shown, "busy": worker.busy}

    @router.get("/runs/{run_id}/infotext", tags=TAGS, summary="The grid as an infotext for the WebUI's X/Y/Z plot")
    def infotext(run_id: str, language: str = LANGUAGE) -> dict[str, str]:
        with watch.view(watch.found(run_id)) as view:
            try:
                return {"infotext": grid_infotext(view, worker.host, extras() if extras else {}), "problem": ""}
            except UserError as error:
                return {"infotext": "", "problem": error.text(language)}


def _add_orders(router: APIRouter, services: Services) -> None:
    watch, worker = services.watch, services.worker

    @router.post("/runs", tags=TAGS, summary="Start a run", status_code=201, dependencies=[Depends(own_page)])
    def start(values: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, str]:
        return {"id": worker.start(from_flat(values), language).id}

    @router.post("/runs/{run_id}/stop", tags=TAGS, summary="Stop a run", dependencies=[Depends(own_page)])
    def stop(run_id: str, body: dict[str, Any] = BODY) -> dict[str, Any]:
        when = body.get("when")
        if when not in ORDERS:
            raise BadSettings("setting_choice", field="when", name="when", value=when, choices=", ".join(ORDERS))
        with watch.view(watch.found(run_id)) as view:
            if not view.ours:
                raise Busy("run_over", name=view.status.name or view.run.id)
        order(worker, when)
        with watch.view(view.run) as after:
            return brief(after)


def order(worker: Worker, when: str) -> None:
    """Ask the run that goes on to stop ``now`` or ``after_epoch``."""
    if when == "now":
        worker.commands.stop_now()
    else:
        worker.commands.stop_after_epoch()
