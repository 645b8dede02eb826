"""Routes of the queue: what waits, in which order, and a run for each of several values of a setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, LANGUAGE
from lora_trainer.api.plan import sound
from lora_trainer.api.schema import body
from lora_trainer.api.services import Services
from lora_trainer.errors import BadSettings
from lora_trainer.host.queue import RUNNING, Entry
from lora_trainer.language import translate
from lora_trainer.presets.composing import shown
from lora_trainer.project import reading
from lora_trainer.settings import Settings, changed, fields

TAGS: list[str | Enum] = ["queue"]
MOST_SWEPT = 20
FAR = 10_000
# Settings whose values would make runs overwrite each other, or not be of one project.
FIXED = ("name", "images", "out", "trigger")
SWEEP = {
    "project": {"type": "string"},
    "sweep": {
        "type": "object",
        "nullable": True,
        "properties": {"field": {"type": "string"}, "values": {"type": "array", "items": {}}},
    },
}


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    _add_list(router, services)
    _add_orders(router, services)


def _add_list(router: APIRouter, services: Services) -> None:
    queue = services.queue

    @router.get("/queue", tags=TAGS, summary="The runs that wait, in their order, and those that could not begin")
    def entries(language: str = LANGUAGE) -> dict[str, Any]:
        waiting = [told(entry) for entry in queue.entries() if entry.state != RUNNING]
        held = bool(waiting) and queue.held
        return {"entries": waiting, "held": held, "text": translate("run.queue_held", language) if held else ""}

    @router.post(
        "/queue",
        tags=TAGS,
        summary="Let a project's run wait, or one for each value of a setting",
        status_code=201,
        dependencies=[Depends(own_page)],
        openapi_extra=body(SWEEP, "project"),
    )
    def line_up(values: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        project = services.projects.find(reading.text(values, "project"))
        settings = sound(project, services).settings
        sweep = values.get("sweep")
        if sweep is None:
            return {"queued": [queue.add(project.id, settings, language).id]}
        swept = list(sweeping(settings, reading.mapping(values, "sweep")))
        names = ("name", str(sweep["field"]))
        return {"queued": [queue.add(project.id, one, language, names[1:]).id for one in swept]}


def _add_orders(router: APIRouter, services: Services) -> None:
    queue = services.queue
    asked: dict[str, Any] = {"tags": TAGS, "dependencies": [Depends(own_page)]}

    @router.post("/queue/go", summary="Let the next run begin, although one is paused", **asked)
    def go() -> dict[str, Any]:
        queue.release()
        return {"held": queue.held}

    @router.post(
        "/queue/{entry_id}/move",
        summary="Put a run at another place, counted from 0",
        openapi_extra=body({"to": {"type": "integer", "minimum": 0}}, "to"),
        **asked,
    )
    def move(entry_id: str, values: dict[str, Any] = BODY) -> dict[str, Any]:
        queue.move(entry_id, reading.whole(values, "to", 0, 0, FAR))
        return {"entries": [told(entry) for entry in queue.entries() if entry.state != RUNNING]}

    @router.delete("/queue/{entry_id}", summary="Take a run out of the queue", **asked)
    def remove(entry_id: str) -> dict[str, Any]:
        queue.remove(entry_id)
        return {"entries": [told(entry) for entry in queue.entries() if entry.state != RUNNING]}


def told(entry: Entry) -> dict[str, Any]:
    """An entry for JSON; of its settings those that tell it from the project's."""
    own = {name: entry.values[name] for name in entry.changed}
    kept = ("id", "project", "name", "state", "message")
    return {**{name: getattr(entry, name) for name in kept}, "changed": own}


def sweeping(settings: Settings, sweep: Mapping[str, Any]) -> Iterator[Settings]:
    """The settings once for each value of a field, each under a name of its own. Raises ``BadSettings``."""
    from lora_trainer.forecast.naming import name_from

    field, values = reading.text(sweep, "field"), reading.of_type(sweep, "values", [], list)
    if field not in fields():
        raise BadSettings("setting_unknown", field=field, name=field)
    if field in FIXED:
        raise BadSettings("sweep_field", field=field, name=field)
    unlike = [value for number, value in enumerate(values) if value not in values[:number]]
    if not unlike:
        raise BadSettings("sweep_values", field=field, name=field)
    if len(unlike) > MOST_SWEPT:
        raise BadSettings("sweep_many", field=field, count=len(unlike), most=MOST_SWEPT)
    whole = [changed(settings, **{field: value}) for value in unlike]  # all are checked before any waits
    for value, one in zip(unlike, whole, strict=True):
        suffix = name_from(f"{field}{shown(value)}".replace("/", "_").replace(" ", ""))
        yield changed(one, name=f"{settings.output.name}-{suffix}")
