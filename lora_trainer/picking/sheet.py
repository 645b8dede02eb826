"""The grid as one labelled picture: a block per prompt and seed, rows of weights, columns of epochs, the choice marked.

Labels are English on purpose: the font that is always there has no Chinese.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lora_trainer.disk import write_whole
from lora_trainer.picking.files import NUMBERED
from lora_trainer.picking.lettering import Font, first_fitting, font, width, wrap
from lora_trainer.picking.page import Page, Panel, Photo, Star, Text
from lora_trainer.picking.pictures import png
from lora_trainer.picking.plan import Cell, weight_text
from lora_trainer.picking.render import Grid

LONGEST_SIDE = 16_000  # pixels; above it viewers and browsers fail
MOST_PIXELS = 120_000_000  # a sheet is in memory whole
SMALLEST_CELL = 192  # pixels wide; below it the labels do not fit, so cells are enlarged
SMALLEST_SHRUNK = 16  # pixels; a cell that is smaller is not shrunk any more

PAPER, INK, MUTED, RULE, EMPTY, ACCENT = "#ffffff", "#1b1f24", "#59636e", "#d9dee3", "#eef1f4", "#b4460f"


def write_sheet(grid: Grid, path: Path, chosen: tuple[int, float] | None = None) -> Path:
    """Draw the sheet of ``grid`` with the ``chosen`` epoch and weight marked, and write it as a PNG."""
    write_whole(path, png(draw_sheet(grid, chosen)))
    return path


def draw_sheet(grid: Grid, chosen: tuple[int, float] | None = None) -> Image.Image:
    """The sheet as a picture; cells shrink until it is small enough for viewers. Cells not drawn yet are left empty."""
    own = grid.plan.template.width, grid.plan.template.height
    scale = float(-(-SMALLEST_CELL // own[0]))
    while True:
        page = _Composer(grid, (round(own[0] * scale), round(own[1] * scale)), chosen).page()
        excess = max(
            page.width / LONGEST_SIDE, page.height / LONGEST_SIDE, (page.width * page.height / MOST_PIXELS) ** 0.5
        )
        if excess <= 1 or scale * min(own) < SMALLEST_SHRUNK:
            return page.paint(PAPER)
        scale = scale - 1 if scale > 1 else scale * min(0.97, 1 / excess)  # whole multiples keep drawn pixels even


class _Composer:
    """Puts a sheet's parts in their places, from the top down. All measures follow from the width of a cell."""

    def __init__(self, grid: Grid, cell: tuple[int, int], chosen: tuple[int, float] | None) -> None:
        self.grid, self.plan, self.cell, self.chosen = grid, grid.plan, cell, chosen
        self.unit = min(56, max(9, round(cell[0] / 12)))  # size of the labels' letters
        self.gap = round(self.unit * 0.8)
        self.margin = self.unit * 2
        self.label = font(self.unit)
        self.strong = font(self.unit, bold=True)
        self.tab = round(self.unit * 1.6)  # height of the badge
        weights = (f"weight {weight_text(weight)}" for weight in self.plan.weights)
        self.between = self.unit * 3 + round(max(width(text, self.strong) for text in weights))
        self.y = self.margin

    def page(self) -> Page:
        """The whole sheet."""
        page = Page(self.column(len(self.plan.epochs) + 1) - self.gap + self.margin)
        self.head(page)
        for prompt in range(len(self.plan.prompts)):
            for seed in range(len(self.plan.seeds)):
                self.block(page, prompt, seed)
        page.height = self.y + self.margin
        return page

    def column(self, index: int) -> int:
        """Left edge of a column. The base model's is the first; between it and the epochs stand the weights' names."""
        return self.margin + index * (self.cell[0] + self.gap) + (self.between if index else 0)

    def head(self, page: Page) -> None:
        """The LoRA's name, what all cells share, and what was chosen."""
        template, first = self.plan.template, self.plan.epochs[0].lora
        match = NUMBERED.fullmatch(first)
        title = match["name"] if match else first
        self.write(page, title, font(round(self.unit * 1.8), title, bold=True), most=1)
        facts = f"{template.width} × {template.height} px  ·  {template.sampler}  ·  {template.steps} steps"
        facts += f"  ·  CFG {template.cfg_scale:g}"
        facts += f"  ·  negative prompt: {template.negative_prompt}" if template.negative_prompt else ""
        self.write(page, facts, font(self.unit, facts), MUTED, most=2)
        if self.chosen:
            self.y += self.unit // 2
            text = f"chosen: epoch {self.chosen[0]}, weight {weight_text(self.chosen[1])}"
            self.badge(page, self.margin, self.y, text)
            self.y += self.tab + self.unit // 4

    def block(self, page: Page, prompt: int, seed: int) -> None:
        """One prompt and seed: the prompt, the columns' names, a row for each weight."""
        self.y += self.unit
        rule = (self.margin, self.y, page.width - self.margin, self.y + max(1, self.unit // 12))
        page.items.append(Panel(rule, RULE))
        self.y += self.unit
        text = self.plan.prompts[prompt] or "(empty prompt)"
        self.write(page, text, font(round(self.unit * 1.15), text, bold=True), most=3)
        if len(self.plan.seeds) > 1:
            self.write(page, f"seed {self.plan.seeds[seed]}", self.label, MUTED, most=1)
        self.column_names(page)
        for row, weight in enumerate(self.plan.weights):
            strong = self.chosen is not None and weight == self.chosen[1]
            self.y += self.tab if strong else 0  # room for the badge, so that it covers no picture
            if row == 0:
                self.picture(page, 0, Cell(None, None, prompt, seed))
            middle, end = self.y + self.cell[1] / 2, self.column(1) - self.unit
            page.items.append(Text(end, middle, f"weight {weight_text(weight)}", *self.style(strong), 1.0))
            for column, file in enumerate(self.plan.epochs, start=1):
                self.picture(page, column, Cell(file.epoch, weight, prompt, seed))
            self.y += self.cell[1] + self.gap
        self.y -= self.gap

    def column_names(self, page: Page) -> None:
        """The names over the columns, all in the longest form that fits over every cell."""
        self.y += round(self.unit * 1.2)
        forms = ("epoch {}", "e{}", "{}")
        longest = [form.format(max(file.epoch for file in self.plan.epochs)) for form in forms]
        form = forms[longest.index(first_fitting(longest, self.strong, self.cell[0]))]
        names = [(first_fitting(("no LoRA", "none"), self.label, self.cell[0]), False)]
        for file in self.plan.epochs:
            name = form.format(file.epoch)
            name = name if file.numbered else first_fitting((f"{name} (last)", name), self.strong, self.cell[0])
            names.append((name, self.chosen is not None and file.epoch == self.chosen[0]))
        for column, (name, strong) in enumerate(names):
            centre = self.column(column) + self.cell[0] / 2
            page.items.append(Text(centre, self.y, name, *self.style(strong), 0.5))
        self.y += round(self.unit * 1.3)

    def picture(self, page: Page, column: int, cell: Cell) -> None:
        """A cell's picture, or an empty panel; the chosen one with its outline and badge."""
        x, y = self.column(column), self.y
        box = (x, y, x + self.cell[0], y + self.cell[1])
        if path := self.grid.pictures.get(cell):
            page.items.append(Photo(box, path))
        else:
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            page.items += [Panel(box, EMPTY), Text(*middle, "not drawn", self.label, MUTED, 0.5)]
        if self.chosen and (cell.epoch, cell.weight) == self.chosen:
            line = max(3, self.unit // 4)
            around = (box[0] - line, box[1] - line, box[2] + line, box[3] + line)
            page.items.append(Panel(around, ACCENT, radius=line, line=line))
            self.badge(page, around[0], y - self.tab, "chosen")

    def badge(self, page: Page, x: int, y: int, text: str) -> None:
        """A star and a few words on the accent colour."""
        wide = round(width(text, self.strong) + self.unit * 2.4)
        middle = y + self.tab / 2
        page.items.append(Panel((x, y, x + wide, y + self.tab), ACCENT, radius=self.unit // 4))
        page.items.append(Star(x + self.unit * 1.05, middle, self.unit * 0.55, PAPER))
        page.items.append(Text(x + self.unit * 1.9, middle, text, self.strong, PAPER))

    def style(self, strong: bool) -> tuple[Font, str]:
        """Font and colour of a label; those of the chosen row and column stand out."""
        return (self.strong, ACCENT) if strong else (self.label, INK)

    def write(self, page: Page, text: str, letters: Font, colour: str = INK, most: int = 1) -> None:
        """Lines of text over the whole width; goes down by their height."""
        tall = round(getattr(letters, "size", 11) * 1.45)
        for line in wrap(text, letters, page.width - 2 * self.margin, most):
            page.items.append(Text(self.margin, self.y + tall / 2, line, letters, colour))
            self.y += tall
