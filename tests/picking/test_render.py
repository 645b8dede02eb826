"""Cells are drawn once, kept whole, found again; what has changed is drawn anew and nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

from lora_trainer.errors import BadSettings
from lora_trainer.host.protocol import Host, ImageRequest
from lora_trainer.picking.plan import Cell, GridPlan
from lora_trainer.picking.render import load_grid, render

from .grids import ColourHost, colour, plan_of

CELLS = 2 + 3 * 2 * 2


def draw(plan: GridPlan, folder: Path, stop_after: int | None = None) -> tuple[list[int], list[ImageRequest]]:
    """Progress counts and what the host was asked for."""
    host = ColourHost(plan, stop_after)
    events = list(render(plan, cast(Host, host), folder))
    assert {(event.stage, event.total) for event in events} == {("grid", len(plan.cells()))}
    return [event.done for event in events], host.asked


def test_every_cell_is_drawn_in_its_own_file(tmp_path: Path) -> None:
    plan, folder = plan_of(tmp_path), tmp_path / "run" / "grid"
    done, asked = draw(plan, folder)
    assert done == list(range(CELLS + 1))
    assert asked == [cell.request(plan) for cell in plan.cells()]
    grid = load_grid(folder)
    assert grid.plan == plan
    assert tuple(grid.pictures) == plan.cells()
    for cell, path in grid.pictures.items():
        with Image.open(path) as picture:
            assert (picture.format, picture.size, picture.getpixel((3, 3))) == ("PNG", (16, 16), colour(plan, cell))
    assert not list(folder.glob("*.tmp"))


def test_a_file_tells_its_epoch_and_weight(tmp_path: Path) -> None:
    draw(plan_of(tmp_path), tmp_path / "grid")
    names = {cell: path.name for cell, path in load_grid(tmp_path / "grid").pictures.items()}
    assert names[Cell(2, 0.5, 0, 0)].startswith("000002-w0.5-")
    assert names[Cell(None, None, 0, 0)].startswith("no-lora-")


def test_weights_that_read_alike_have_files_of_their_own(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, weights=(0.12345671, 0.12345672))
    draw(plan, tmp_path / "grid")
    assert len(set(load_grid(tmp_path / "grid").pictures.values())) == CELLS


def test_an_interrupted_grid_goes_on_where_it_stopped(tmp_path: Path) -> None:
    plan, folder = plan_of(tmp_path), tmp_path / "grid"
    done, _ = draw(plan, folder, stop_after=5)
    assert done == [0, 1, 2, 3, 4, 5]
    assert len(load_grid(folder).pictures) == 5
    done, asked = draw(plan, folder)
    assert done == list(range(5, CELLS + 1))
    assert asked == [cell.request(plan) for cell in plan.cells()[5:]]


def test_a_whole_grid_does_not_trouble_the_host(tmp_path: Path) -> None:
    plan, folder = plan_of(tmp_path), tmp_path / "grid"
    draw(plan, folder)
    assert draw(plan, folder) == ([CELLS], [])


def test_only_what_changed_is_drawn_again(tmp_path: Path) -> None:
    plan, folder = plan_of(tmp_path), tmp_path / "grid"
    draw(plan, folder)
    other = dataclasses.replace(plan, prompts=("hero, asleep", *plan.prompts))
    _, asked = draw(other, folder)
    assert {request.prompt for request in asked} == {"hero, asleep"}
    assert len(asked) == CELLS // 2
    heavier = dataclasses.replace(plan, weights=(0.5, 1.0, 1.2))
    assert {request.weight for request in draw(heavier, folder)[1]} == {1.2}
    longer = dataclasses.replace(plan, template=dataclasses.replace(plan.template, steps=30))
    assert len(draw(longer, folder)[1]) == CELLS


def test_an_epoch_that_was_trained_again_is_drawn_again(tmp_path: Path) -> None:
    plan, folder = plan_of(tmp_path), tmp_path / "grid"
    draw(plan, folder)
    lora = plan.file(2).path
    status = lora.stat()
    os.utime(lora, ns=(status.st_atime_ns, status.st_mtime_ns + 2_000_000_000))
    assert {request.lora for request in draw(plan, folder)[1]} == {lora}


def test_the_files_are_named_before_the_first_is_drawn(tmp_path: Path) -> None:
    plan, folder = plan_of(tmp_path), tmp_path / "grid"
    next(render(plan, cast(Host, ColourHost(plan)), folder))
    grid = load_grid(folder)
    assert (grid.plan, dict(grid.pictures)) == (plan, {})
    assert len(json.loads((folder / "grid.json").read_text(encoding="utf-8"))["cells"]) == CELLS


def test_a_grid_is_read_after_its_loras_are_gone(tmp_path: Path) -> None:
    plan, folder = plan_of(tmp_path, prompts=("红帽子",)), tmp_path / "grid"
    draw(plan, folder)
    plan.file(1).path.unlink()
    assert load_grid(folder).plan.prompts == ("红帽子",)
    with pytest.raises(BadSettings, match="hero-000001"):
        list(render(plan, cast(Host, ColourHost(plan)), folder))


def test_no_grid_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_grid(tmp_path)
