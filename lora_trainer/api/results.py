"""Routes of the results: the grid cell by cell, the choice, and what is done with the LoRA files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, FOREVER, LANGUAGE
from lora_trainer.api.files import picture
from lora_trainer.api.schema import body
from lora_trainer.api.services import Services
from lora_trainer.api.watch import View
from lora_trainer.errors import BadSettings, Busy, Unknown
from lora_trainer.events import Validated
from lora_trainer.forecast.wording import size
from lora_trainer.interop.files import read_metadata
from lora_trainer.language import translate
from lora_trainer.picking.cards import lora_card, prompt_call, version_of
from lora_trainer.picking.plan import Cell
from lora_trainer.picking.table import chosen, grid_values, read_grid
from lora_trainer.picking.trash import Moved, keep, restore
from lora_trainer.project import reading

TAGS: list[str | Enum] = ["results"]
EMPTY: dict[str, Any] = {
    "epochs": [],
    "weights": [],
    "prompts": [],
    "negative": "",
    "seeds": [],
    "cells": [],
    "scores": [],
}
MOST_EPOCHS, MOST_WEIGHT = 1_000_000, 10.0
EPOCHS = {"epochs": {"type": "array", "items": {"type": "integer"}}}
CELL = {"epoch": {"type": "integer"}, "weight": {"type": "number", "default": 1.0}}


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    _add_grid(router, services)
    _add_files(router, services)
    _add_uses(router, services)


def _add_grid(router: APIRouter, services: Services) -> None:
    watch = services.watch

    @router.get("/runs/{run_id}/grid", tags=TAGS, summary="The comparison: its cells, the scores and the choice")
    def grid(run_id: str, language: str = LANGUAGE) -> dict[str, Any]:
        with watch.view(watch.found(run_id)) as view:
            curve, folder = curve_of(view), view.run.folder / "grid"
            trigger = view.settings.data.trigger if view.settings else ""
            files = dict(view.status.files)
        found, choice = read_grid(folder), chosen(folder, language)
        values = grid_values(found, curve) if found else EMPTY
        cells = [{**one, "url": _url(view.run.id, one)} for one in values["cells"]]
        if choice:
            lora = Path(files.get(choice["epoch"], ""))
            choice["call"] = prompt_call(lora, choice["weight"], trigger) if lora.name else ""
        return {**values, "cells": cells, "choice": choice}

    @router.get("/runs/{run_id}/cell/{number}", tags=TAGS, summary="A picture of the grid")
    def cell(run_id: str, number: int) -> FileResponse:
        run = watch.found(run_id)
        found = read_grid(run.folder / "grid")
        cells = found.plan.cells() if found else ()
        path = found.pictures.get(cells[number]) if found and 0 <= number < len(cells) else None
        if path is None:
            raise Unknown("grid_none")
        return picture(run, path.relative_to(run.folder).as_posix(), FOREVER)


def _add_files(router: APIRouter, services: Services) -> None:
    asked: dict[str, Any] = {"tags": TAGS, "dependencies": [Depends(own_page)]}

    @router.post(
        "/runs/{run_id}/keep",
        summary="Keep the files of these epochs; the others go to a trash folder beside them",
        openapi_extra=body(EPOCHS, "epochs"),
        **asked,
    )
    def keep_only(run_id: str, values: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        run, files = _resting(services, run_id)
        kept = reading.of_type(values, "epochs", [], list)
        if not all(type(epoch) is int for epoch in kept):
            raise BadSettings("setting_type", field="epochs", name="epochs", value=kept, kind="int")
        moved = keep(run, files, kept, language)
        return _moved("kept", moved, language)

    @router.post("/runs/{run_id}/restore", summary="Bring the files back that were put away", **asked)
    def bring_back(run_id: str, language: str = LANGUAGE) -> dict[str, Any]:
        run, files = _resting(services, run_id)
        folders = {path.parent for path in files.values()}
        found = [restore(run, folder) for folder in sorted(folders)]
        return _moved("restored", found[0] if found else Moved(0, 0, Path()), language)


def _add_uses(router: APIRouter, services: Services) -> None:
    asked: dict[str, Any] = {"tags": TAGS, "dependencies": [Depends(own_page)]}

    @router.post(
        "/runs/{run_id}/use",
        summary="Publish an epoch with its card and preview, and tell how a prompt calls it",
        openapi_extra=body(CELL, "epoch"),
        **asked,
    )
    def use(run_id: str, values: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, str]:
        epoch, weight = _epoch(values), reading.number(values, "weight", 1.0, 0.0, MOST_WEIGHT)
        with services.watch.view(services.watch.found(run_id)) as view:
            lora, trigger = file_of(view, epoch), view.settings.data.trigger if view.settings else ""
            cover = cover_of(view, epoch, weight)
        folder = view.run.folder / "grid"
        choice = chosen(folder, language) or {}
        picked = (choice.get("epoch"), choice.get("weight")) == (epoch, weight)
        card = lora_card(trigger, weight, version_of(read_metadata(lora)[0]), language)
        notes = " ".join(choice["reasons"]) if picked else ""
        services.worker.host.publish(lora, replace(card, notes=notes, preview=cover))
        return {"call": prompt_call(lora, weight, trigger)}

    @router.post(
        "/runs/{run_id}/further",
        summary="A new project that trains further from an epoch's file",
        status_code=201,
        openapi_extra=body({"epoch": {"type": "integer"}}, "epoch"),
        **asked,
    )
    def further(run_id: str, values: dict[str, Any] = BODY) -> dict[str, str]:
        from lora_trainer.api.further import draft

        epoch = _epoch(values)
        with services.watch.view(services.watch.found(run_id)) as view:
            lora = file_of(view, epoch)
        return {"id": draft(services, view, lora, epoch).id}


def curve_of(view: View) -> list[Validated]:
    """The losses that were measured of a run."""
    return [Validated(epoch=epoch, held_out=held_out, train=train) for epoch, held_out, train in view.status.validated]


def file_of(view: View, epoch: int) -> Path:
    """The LoRA file of an epoch. Raises ``Unknown`` when it is not there."""
    path = Path(dict(view.status.files).get(epoch, ""))
    if not path.is_file():
        raise Unknown("epoch_gone", field="epoch", epoch=epoch)
    return path


def cover_of(view: View, epoch: int, weight: float) -> Path | None:
    """A picture that was drawn with the file: the grid's first at this weight, else the epoch's first preview."""
    found = read_grid(view.run.folder / "grid")
    drawn: Sequence[tuple[Cell, Path]] = list(found.pictures.items()) if found else []
    previews = [view.run.folder / entry[3] for entry in view.status.previews if entry[0] == epoch]
    cells = [path for cell, path in drawn if (cell.epoch, cell.weight) == (epoch, weight)]
    return next((path for path in (*cells, *previews) if path.is_file() and path.suffix == ".png"), None)


def _resting(services: Services, run_id: str) -> tuple[str, dict[int, Path]]:
    """The id and the files of a run that does not go on. Raises ``Busy`` where it does."""
    with services.watch.view(services.watch.found(run_id)) as view:
        if view.state == "running":
            raise Busy("keep_running", name=view.status.name or view.run.id)
        return view.run.id, {epoch: Path(path) for epoch, path in view.status.files}


def _moved(key: str, moved: Moved, language: str) -> dict[str, Any]:
    values = {"count": moved.count, "size": size(moved.size), "folder": moved.folder, "left": moved.left}
    which = f"results.{key}" + ("_some" if moved.left else "" if moved.count else "_nothing")
    return {"count": moved.count, "size": moved.size, "text": translate(which, language, **values)}


def _epoch(values: dict[str, Any]) -> int:
    return reading.whole(values, "epoch", 0, 1, MOST_EPOCHS)


def _url(run_id: str, cell: dict[str, Any]) -> str:
    """A cell's address; what is drawn anew has another one."""
    return f"runs/{run_id}/cell/{cell['n']}?v={cell.pop('picture').rpartition('-')[2].removesuffix('.png')}"
