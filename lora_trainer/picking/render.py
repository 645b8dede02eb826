"""The grid drawn in place, picture by picture, through the host; and read back from its folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_trainer.disk import write_whole
from lora_trainer.events import Progress
from lora_trainer.host.protocol import Host, ImageRequest
from lora_trainer.picking.files import EpochFile, epoch_tag
from lora_trainer.picking.pictures import png
from lora_trainer.picking.plan import Cell, GridPlan, weight_text

GRID_FILE = "grid.json"


@dataclass(frozen=True)
class Grid:
    """A plan and the pictures of it that are drawn."""

    plan: GridPlan
    pictures: Mapping[Cell, Path]


def render(plan: GridPlan, host: Host, folder: Path) -> Iterator[Progress]:
    """Draw the cells that ``folder`` lacks and write each at once; the first event tells how many were there already.

    Ends early when the host is interrupted; called again, it goes on where it stopped. A file's name carries a
    fingerprint of what was asked for, so a changed prompt or a LoRA trained anew is drawn again and the rest is kept.
    """
    requests = {cell: cell.request(plan) for cell in plan.cells()}
    files = {cell: _file_name(cell, request) for cell, request in requests.items()}
    write_whole(folder / GRID_FILE, _to_json(plan, files))

    missing = [cell for cell in requests if not (folder / files[cell]).is_file()]
    done = len(requests) - len(missing)
    yield Progress(stage="grid", done=done, total=len(requests))
    if not missing:
        return
    for cell, picture in zip(missing, host.generate([requests[cell] for cell in missing]), strict=False):
        write_whole(folder / files[cell], png(picture.image))
        done += 1
        yield Progress(stage="grid", done=done, total=len(requests))


def load_grid(folder: Path) -> Grid:
    """The grid in ``folder`` with the pictures drawn so far; ``FileNotFoundError`` when there is none."""
    values = json.loads((folder / GRID_FILE).read_text(encoding="utf-8"))
    plan = _plan_from(values["plan"])
    named = {Cell(*cell): folder / file for file, cell in values["cells"].items()}
    return Grid(plan, {cell: path for cell, path in named.items() if path.is_file()})


def _file_name(cell: Cell, request: ImageRequest) -> str:
    """The cell's file: its epoch and weight for the reader, and a fingerprint of the request and the LoRA file."""
    fingerprint = request.fingerprint()
    if cell.epoch is None or cell.weight is None:
        return f"no-lora-{fingerprint}.png"
    return f"{epoch_tag(cell.epoch)}-w{weight_text(cell.weight)}-{fingerprint}.png"


def _shared(request: ImageRequest) -> dict[str, Any]:
    """What all cells of a plan have in common, as plain values."""
    own = ("prompt", "seed", "lora", "weight")
    return {field.name: getattr(request, field.name) for field in dataclasses.fields(request) if field.name not in own}


def _to_json(plan: GridPlan, files: Mapping[Cell, str]) -> str:
    values = {
        "plan": {
            "epochs": [[file.epoch, str(file.path), file.numbered] for file in plan.epochs],
            "weights": plan.weights,
            "prompts": plan.prompts,
            "seeds": plan.seeds,
            "template": _shared(plan.template),
        },
        "cells": {file: dataclasses.astuple(cell) for cell, file in files.items()},
    }
    return json.dumps(values, ensure_ascii=False, indent=1)


def _plan_from(values: Mapping[str, Any]) -> GridPlan:
    return GridPlan(
        epochs=tuple(EpochFile(epoch, Path(path), numbered) for epoch, path, numbered in values["epochs"]),
        weights=tuple(values["weights"]),
        prompts=tuple(values["prompts"]),
        seeds=tuple(values["seeds"]),
        template=ImageRequest(prompt="", **values["template"]),
    )
