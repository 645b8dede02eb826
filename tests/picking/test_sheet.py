"""The sheet shows every cell in its place, whole, marked when chosen, and never grows beyond what viewers can open."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageFont

from lora_trainer.host.protocol import Host, ImageRequest
from lora_trainer.picking import lettering, sheet
from lora_trainer.picking.files import EpochFile
from lora_trainer.picking.lettering import first_fitting, font, width, wrap
from lora_trainer.picking.plan import Cell, GridPlan
from lora_trainer.picking.render import Grid, load_grid, render
from lora_trainer.picking.sheet import draw_sheet, write_sheet

from .grids import ColourHost, colour, plan_of

Box = tuple[int, int, int, int]


def drawn(plan: GridPlan, folder: Path) -> Grid:
    for _ in render(plan, cast(Host, ColourHost(plan)), folder):
        pass
    return load_grid(folder)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def boxes(grid: Grid, image: Image.Image) -> dict[Cell, Box]:
    """Where each cell's colour is on the sheet."""
    shown, found = pixels(image) @ np.array([65536, 256, 1]), {}  # one number a pixel
    for cell in grid.pictures:
        rows, columns = np.nonzero(shown == np.dot(colour(grid.plan, cell), [65536, 256, 1]))
        found[cell] = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert len(rows) == (found[cell][2] - found[cell][0]) * (found[cell][3] - found[cell][1]), "covered or twice"
    return found


def test_every_cell_is_whole_enlarged_evenly_and_in_its_place(tmp_path: Path) -> None:
    grid = drawn(plan_of(tmp_path, template=ImageRequest(prompt="", width=16, height=24)), tmp_path / "grid")
    places = boxes(grid, draw_sheet(grid, (2, 1.0)))
    assert {(right - left, bottom - top) for left, top, right, bottom in places.values()} == {(192, 288)}
    for prompt in (0, 1):
        lefts = [places[Cell(epoch, 0.5, prompt, 0)][0] for epoch in (1, 2, 3)]
        assert places[Cell(None, None, prompt, 0)][0] < lefts[0] < lefts[1] < lefts[2]
        assert lefts == [places[Cell(epoch, 1.0, prompt, 0)][0] for epoch in (1, 2, 3)]
        tops = [{places[Cell(epoch, weight, prompt, 0)][1] for epoch in (1, 2, 3)} for weight in (0.5, 1.0)]
        assert len(tops[0]) == len(tops[1]) == 1 and max(tops[0]) < min(tops[1])
        assert places[Cell(None, None, prompt, 0)][1] == max(tops[0])
    assert places[Cell(1, 1.0, 0, 0)][3] < places[Cell(1, 0.5, 1, 0)][1]


def test_the_chosen_cell_is_outlined_in_every_block_and_no_other(tmp_path: Path) -> None:
    grid = drawn(plan_of(tmp_path), tmp_path / "grid")
    image = draw_sheet(grid, (2, 1.0))
    shown, accent = pixels(image), ImageColor.getrgb(sheet.ACCENT)
    for cell, (left, top, right, bottom) in boxes(grid, image).items():
        around = (
            shown[top:bottom, left - 1],
            shown[top:bottom, right],
            shown[top - 1, left:right],
            shown[bottom, left:right],
        )
        outlined = [bool((edge == accent).all()) for edge in around]
        assert outlined == [(cell.epoch, cell.weight) == (2, 1.0)] * 4, cell


def test_without_a_choice_nothing_is_marked(tmp_path: Path) -> None:
    grid = drawn(plan_of(tmp_path), tmp_path / "grid")
    accent = ImageColor.getrgb(sheet.ACCENT)
    assert not (pixels(draw_sheet(grid)) == accent).all(axis=2).any()
    assert (pixels(draw_sheet(grid, (3, 0.5))) == accent).all(axis=2).any()


def test_a_chosen_first_row_covers_no_label(tmp_path: Path) -> None:
    grid = drawn(plan_of(tmp_path), tmp_path / "grid")
    first, second = (
        min(box[1] for box in boxes(grid, draw_sheet(grid, pick)).values()) for pick in ((1, 0.5), (1, 1.0))
    )
    assert first > second


def test_a_cell_that_is_not_drawn_yet_is_left_empty(tmp_path: Path) -> None:
    grid = drawn(plan_of(tmp_path), tmp_path / "grid")
    missing = Cell(2, 0.5, 0, 0)
    fewer = Grid(grid.plan, {cell: path for cell, path in grid.pictures.items() if cell != missing})
    left, top, _, _ = boxes(grid, draw_sheet(grid))[missing]
    corner = pixels(draw_sheet(fewer))[top + 2, left + 2]
    assert tuple(corner) == ImageColor.getrgb(sheet.EMPTY)
    assert draw_sheet(fewer).size == draw_sheet(grid).size


def test_drawn_pixels_stay_squares_of_one_colour(tmp_path: Path) -> None:
    grid = drawn(plan_of(tmp_path), tmp_path / "grid")
    cell = Cell(1, 0.5, 0, 0)
    left, top, right, bottom = boxes(grid, draw_sheet(grid))[cell]
    chequered = np.indices((16, 16)).sum(axis=0) % 2 * 255
    Image.fromarray(chequered.astype(np.uint8)).save(grid.pictures[cell])
    shown = pixels(draw_sheet(grid))[top:bottom, left:right, 0]
    assert (shown == np.kron(chequered, np.ones((12, 12)))).all()


def test_pictures_of_a_usual_size_are_shown_as_they_are(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, prompts=("a",), template=ImageRequest(prompt="", width=200, height=240))
    grid = drawn(plan, tmp_path / "grid")
    path = grid.pictures[Cell(1, 0.5, 0, 0)]
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (240, 200, 3), dtype=np.uint8))
    noise.save(path)
    others = {cell: file for cell, file in grid.pictures.items() if file != path}
    left, top, right, bottom = boxes(Grid(plan, others), draw_sheet(grid))[Cell(2, 0.5, 0, 0)]
    before = boxes(Grid(plan, others), draw_sheet(grid))[Cell(3, 0.5, 0, 0)][0] - left  # one column
    assert (pixels(draw_sheet(grid))[top:bottom, left - before : right - before] == np.asarray(noise)).all()


@pytest.mark.parametrize(("side", "epochs"), [(1024, 40), (128, 90)])
def test_a_giant_grid_stays_below_the_limits(
    tmp_path: Path, side: int, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tuple(EpochFile(i, Path(f"hero-{i:06d}.safetensors")) for i in range(1, epochs + 1))
    plan = plan_of(tmp_path, epochs=files, prompts=("a",), template=ImageRequest(prompt="", width=side, height=side))
    monkeypatch.setattr(sheet, "LONGEST_SIDE", 4000)  # the same rule, painted faster
    image = draw_sheet(Grid(plan, {}))
    assert 0.75 * 4000 < max(image.size) <= 4000


def test_an_enlarged_cell_goes_back_to_its_own_size_before_it_is_shrunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = drawn(plan_of(tmp_path, template=ImageRequest(prompt="", width=100, height=100)), tmp_path / "grid")
    assert {box[2] - box[0] for box in boxes(grid, draw_sheet(grid)).values()} == {200}
    monkeypatch.setattr(sheet, "LONGEST_SIDE", 800)
    assert {box[2] - box[0] for box in boxes(grid, draw_sheet(grid)).values()} == {100}


def test_the_number_of_pixels_is_limited_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(tmp_path, template=ImageRequest(prompt="", width=512, height=512))
    monkeypatch.setattr(sheet, "MOST_PIXELS", 1_000_000)
    image = draw_sheet(Grid(plan, {}))
    assert 700_000 < image.width * image.height <= 1_000_000


def test_more_seeds_are_more_blocks_and_long_prompts_more_lines(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, prompts=("a",))
    one = draw_sheet(Grid(plan, {})).height
    long = dataclasses.replace(plan, prompts=("a very long prompt, " * 40,))
    assert draw_sheet(Grid(dataclasses.replace(plan, seeds=(1, 2)), {})).height > one + 2 * 192
    assert one < draw_sheet(Grid(long, {})).height < one + 150


def test_the_sheet_is_written_as_a_png(tmp_path: Path) -> None:
    grid = Grid(plan_of(tmp_path), {})
    path = write_sheet(grid, tmp_path / "run" / "sheet.png", (1, 1.0))
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", draw_sheet(grid, (1, 1.0)).size)


def test_without_any_font_the_sheet_is_drawn_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_latin_files", lambda bold: ["no such font.ttf"])
    monkeypatch.setattr(lettering, "_cjk_files", lambda bold: [])
    bitmap = ImageFont.load_default()
    monkeypatch.setattr(ImageFont, "load_default", lambda: bitmap)
    grid = drawn(plan_of(tmp_path, prompts=("红帽子 …", "hat")), tmp_path / "grid")
    assert font(20, "hat") is bitmap
    assert len(boxes(grid, draw_sheet(grid, (2, 0.5)))) == len(grid.plan.cells())


def test_the_font_comes_with_a_dependency_and_has_the_asked_size() -> None:
    letters = font(20)
    assert isinstance(letters, ImageFont.FreeTypeFont)
    assert (letters.getname(), letters.size) == (("DejaVu Sans", "Book"), 20)
    assert font(20, bold=True).getname() == ("DejaVu Sans", "Bold")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["one two three four five six seven " * 3, "无空格的中文提示词" * 9, "a" * 200, "", "x, " * 50]
)
def test_wrapped_lines_fit_and_lose_nothing(text: str) -> None:
    letters = font(16, text)
    lines = wrap(text, letters, 220, most=99)
    assert all(width(line, letters) <= 220 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_what_does_not_fit_gives_way_to_an_ellipsis() -> None:
    letters = font(16)
    lines = wrap("red hat, " * 60, letters, 200, most=2)
    assert len(lines) == 2 and lines[1].endswith("…") and width(lines[1], letters) <= 200
    assert wrap("short", letters, 200, most=1) == ["short"]


def test_a_label_is_shortened_as_far_as_needed() -> None:
    letters, texts = font(16), ("epoch 12 (last)", "epoch 12", "e12", "12")
    assert [first_fitting(texts, letters, room) for room in (500, 90, 40, 1)] == [*texts[:3], "12"]
