"""Small grids for tests: LoRA files that are only names, and a host that draws every cell in its own flat colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lora_trainer.host.protocol import ImageRequest, Picture
from lora_trainer.picking.files import EpochFile, epoch_files, lora_name
from lora_trainer.picking.plan import Cell, GridPlan

PROMPTS = ("hero, red hat", "hero, close-up")


def lora_files(folder: Path, name: str = "hero", epochs: Sequence[int] = (1, 2, 3)) -> tuple[EpochFile, ...]:
    """Files with nothing in them but their own name."""
    folder.mkdir(parents=True, exist_ok=True)
    for epoch in epochs:
        (folder / f"{lora_name(name, epoch)}.safetensors").write_text(lora_name(name, epoch))
    return tuple(epoch_files(folder, name))


def plan_of(folder: Path, **changed: Any) -> GridPlan:
    """Three epochs, two weights and two prompts of 16 × 16 pixels, unless ``changed``."""
    values: dict[str, Any] = {"weights": (0.5, 1.0), "prompts": PROMPTS}
    values["template"] = ImageRequest(prompt="", width=16, height=16)
    if "epochs" not in changed:
        values["epochs"] = lora_files(folder / "loras")
    return GridPlan(**{**values, **changed})


def colour(plan: GridPlan, cell: Cell) -> tuple[int, int, int]:
    """A dark colour that only this cell has."""
    number = plan.cells().index(cell)
    return 20 + number % 10 * 10, 20 + number // 10 % 10 * 10, 130 - number // 100 * 10


class ColourHost:
    """The part of a host that draws; ``stop_after`` pictures it is interrupted. ``asked`` is what it drew."""

    def __init__(self, plan: GridPlan, stop_after: int | None = None) -> None:
        self.colours = {repr(cell.request(plan)): colour(plan, cell) for cell in plan.cells()}
        self.stop_after = stop_after
        self.asked: list[ImageRequest] = []

    def generate(self, requests: Sequence[ImageRequest]) -> Iterator[Picture]:
        for request in requests:
            if self.stop_after is not None and len(self.asked) >= self.stop_after:
                return
            self.asked.append(request)
            size = (request.width, request.height)
            yield Picture(Image.new("RGB", size, self.colours[repr(request)]), request)
