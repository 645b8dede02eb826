"""The HTTP API under ``/lora_trainer/v1/``: what the page, and any program, reads and orders.

Every module of routes has one function ``add(router, services)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, FastAPI

from lora_trainer.api import (
    about,
    bodies,
    captions,
    files,
    findings,
    images,
    page,
    plan,
    presets,
    projects,
    queue,
    results,
    runs,
    schema,
    sets,
    stream,
    tagging,
    tasks,
)
from lora_trainer.api.access import logged_in
from lora_trainer.api.edge import PREFIX, REFUSALS, answering
from lora_trainer.api.hooks import Hooks
from lora_trainer.api.services import Services, services_of

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

__all__ = ["PREFIX", "Hooks", "Services", "add_routes", "services_of"]

MODULES = (
    *(about, schema, page, runs, files, stream),
    *(projects, images, sets, tasks, captions, tagging, findings),
    *(presets, plan, queue, results),
)


def add_routes(app: FastAPI, worker: Worker, hooks: Hooks | None = None) -> Services:
    """Add all routes to ``app``; they work through the services that are returned."""
    hooks = hooks or Hooks()
    services = services_of(worker, hooks)
    guard = Depends(logged_in(hooks.password))
    router = APIRouter(prefix=PREFIX, dependencies=[guard], route_class=answering(hooks), responses=REFUSALS)
    for module in MODULES:
        module.add(router, services)
    bodies.describe(router.routes)
    app.router.routes.extend(router.routes)  # include_router would make every route a second time
    services.queue.wake()  # what waited when the program was closed
    return services
