"""Routes of the runs: which there are, how they go, and the orders that a run follows."""

from __future__ import annotations

import time
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, LANGUAGE
from lora_trainer.api.machine import graphics_card
from lora_trainer.api.presenter import NOTHING, brief, present
from lora_trainer.api.schema import body, body_of, settings_schema
from lora_trainer.api.sending import grid_infotext
from lora_trainer.api.services import Services
from lora_trainer.api.watch import CURRENT, View
from lora_trainer.errors import BadSettings, Busy, UserError
from lora_trainer.host.queue import WAITING
from lora_trainer.run import Run
from lora_trainer.settings import from_flat

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

TAGS: list[str | Enum] = ["runs"]
ORDERS = ("now", "after_epoch", "pause")
MOST_EVENTS = Query(1000, ge=1, le=10_000, description="At most so many of them")
SINCE = Query(0, ge=0, description="The number of the first event that is wanted")
KNOWN = Query(-1, description="`lines` of the status that is known: where nothing is new, little is told")


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    _add_lists(router, services)
    _add_views(router, services)
    _add_orders(router, services)


def _add_lists(router: APIRouter, services: Services) -> None:
    watch = services.watch

    @router.get("/runs", tags=TAGS, summary="All runs, the newest first")
    def runs() -> list[dict[str, Any]]:
        current, owners = watch.find(CURRENT), _owners(services)
        return [
            {**_listed(services, run), "project": owners.get(run.id), "current": run == current} for run in watch.runs()
        ]

    @router.get("/runs/{run_id}/events", tags=TAGS, summary="What happened in a run, from an event's number on")
    def events(run_id: str, since: int = SINCE, limit: int = MOST_EVENTS) -> dict[str, Any]:
        run = watch.found(run_id)
        told = list(islice(run.lines(first=since), limit))
        return {"id": run.id, "state": watch.state(run), "events": told, "next": since + len(told)}


def _add_views(router: APIRouter, services: Services) -> None:
    watch, worker, extras = services.watch, services.worker, services.hooks.extras
    owners: dict[str, str] = {}

    @router.get("/runs/{run_id}/status", tags=TAGS, summary="How a run goes; `current` is the one at hand")
    def status(run_id: str, since: int = KNOWN, language: str = LANGUAGE) -> Any:
        if run_id == CURRENT and watch.find(CURRENT) is None:
            return {**NOTHING, "busy": worker.busy}
        run = watch.found(run_id)
        if run.id not in owners:
            owners.update(_owners(services))
        card = graphics_card()
        with watch.view(run) as view:
            shown = brief(view) if since == view.status.lines else present(view, language, card)
        waiting = sum(entry.state == WAITING for entry in services.queue.entries())
        told = {**shown, "busy": worker.busy, "project": owners.get(run.id), "queue": waiting}
        return JSONResponse(told)  # as it is: FastAPI would go through all points once more

    @router.get("/runs/{run_id}/infotext", tags=TAGS, summary="The grid as an infotext for the WebUI's X/Y/Z plot")
    def infotext(run_id: str, language: str = LANGUAGE) -> dict[str, str]:
        with watch.view(watch.found(run_id)) as view:
            try:
                return {"infotext": grid_infotext(view, worker.host, extras() if extras else {}), "problem": ""}
            except UserError as error:
                return {"infotext": "", "problem": error.text(language)}


def _add_orders(router: APIRouter, services: Services) -> None:
    watch, worker = services.watch, services.worker
    asked: dict[str, Any] = {"tags": TAGS, "dependencies": [Depends(own_page)]}
    orders = body({"when": {"type": "string", "enum": list(ORDERS)}}, "when")

    @router.post("/runs", summary="Start a run", status_code=201, openapi_extra=body_of(settings_schema()), **asked)
    def start(values: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, str]:
        return {"id": worker.start(from_flat(values), language).id}

    @router.post("/runs/{run_id}/stop", summary="Stop or pause a run", openapi_extra=orders, **asked)
    def stop(run_id: str, values: dict[str, Any] = BODY) -> dict[str, Any]:
        when = values.get("when")
        if when not in ORDERS:
            raise BadSettings("setting_choice", field="when", name="when", value=when, choices=", ".join(ORDERS))
        with watch.view(watch.found(run_id)) as view:
            _check_here(view)
        order(worker, when)
        with watch.view(view.run) as after:
            return brief(after)

    @router.post("/runs/{run_id}/sample", summary="Draw the previews now", openapi_extra=body(), **asked)
    def sample(run_id: str) -> dict[str, Any]:
        with watch.view(watch.found(run_id)) as view:
            _check_here(view)
            if view.status.stage != "training":
                raise Busy("run_not_training", name=_name(view))
            worker.commands.sample()
            return brief(view)

    @router.post("/runs/{run_id}/continue", summary="Go on with a run that rests", openapi_extra=body(), **asked)
    def go_on(run_id: str, language: str = LANGUAGE) -> dict[str, Any]:
        with watch.view(watch.found(run_id)) as view:
            if view.state == "running":
                raise Busy("run_going", name=_name(view))
            if view.state != "paused" and 0 < view.status.steps <= view.status.step:  # a grid may be left
                raise Busy("run_nothing_left", name=_name(view))
        run = worker.resume(view.run, language)
        services.queue.wake()  # it waited for the paused one
        return {"id": run.id}


def order(worker: Worker, when: str) -> None:
    """Ask the run that goes on to stop ``now`` or ``after_epoch``, or to ``pause``."""
    orders = {
        "now": worker.commands.stop_now,
        "after_epoch": worker.commands.stop_after_epoch,
        "pause": worker.commands.pause,
    }
    orders[when]()


def _check_here(view: View) -> None:
    """Raise ``Busy`` unless the run goes on in this process."""
    if not view.ours:
        raise Busy("run_over", name=_name(view))


def _name(view: View) -> str:
    return view.status.name or view.run.id


def _listed(services: Services, run: Run) -> dict[str, Any]:
    """A run in the list of all."""
    settings = services.watch.settings(run)
    return {
        "id": run.id,
        "name": settings.output.name if settings else run.id,
        "state": services.watch.state(run),
        "epochs": settings.training.epochs if settings else 0,
        "started": _started(run),
    }


def _started(run: Run) -> float | None:
    """When the run was made, in seconds since 1970: its id begins with it."""
    try:
        return time.mktime(time.strptime(run.id[:15], "%Y%m%d-%H%M%S"))
    except ValueError:  # somebody renamed the folder
        return None


def _owners(services: Services) -> dict[str, str]:
    """The project of each run that belongs to one."""
    return {run: project.id for project in services.projects.list() for run in project.read()["runs"]}
