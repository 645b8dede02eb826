"""The grid and the scores as plain values, for a page that shows the cells one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lora_trainer.events import Validated
from lora_trainer.language import English
from lora_trainer.picking.choice import Candidate, Choice, candidates, read_choice
from lora_trainer.picking.plan import Cell
from lora_trainer.picking.render import Grid, load_grid

MEASURES = ("held_out", "held_out_smooth", "train")


def read_grid(folder: Path) -> Grid | None:
    """The grid in a run's grid folder, or None while there is none."""
    try:
        return load_grid(folder)
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # none yet, or of another version
        return None


def pictures_of(grid: Grid) -> list[tuple[Cell, Path]]:
    """The drawn cells in the order of drawing: a cell's number is its place in the plan, so it stays the same."""
    return [(cell, grid.pictures[cell]) for cell in grid.plan.cells() if cell in grid.pictures]


def grid_values(grid: Grid, curve: Sequence[Validated], language: str = English) -> dict[str, Any]:
    """Epochs, weights, prompts, seeds, the cells that are drawn, and a table of scores."""
    plan = grid.plan
    found = candidates([file.epoch for file in plan.epochs], plan.weights, curve)
    scores = {(one.epoch, one.weight): learnt_share(one) for one in found}
    numbers = {cell: number for number, cell in enumerate(plan.cells())}
    return {
        "epochs": [file.epoch for file in plan.epochs],
        "weights": list(plan.weights),
        "prompts": list(plan.prompts),
        "negative": plan.template.negative_prompt,
        "seeds": list(plan.seeds),
        "cells": [
            {
                "n": numbers[cell],
                "epoch": cell.epoch,
                "weight": cell.weight,
                "prompt": cell.prompt,
                "seed": plan.seeds[cell.seed],
                "picture": path.name,
                "score": scores.get((cell.epoch or 0, cell.weight or 0.0)),
            }
            for cell, path in pictures_of(grid)
        ],
        "total": len(numbers),
        "scores": [_row(one) for one in found],
    }


def choice_values(choice: Choice, language: str = English) -> dict[str, Any]:
    """The choice with its reasons in words."""
    second = choice.runner_up
    return {
        "epoch": choice.epoch,
        "weight": choice.weight,
        "reasons": [reason.text(language) for reason in choice.reasons],
        "runner_up": {"epoch": second[0], "weight": second[1]} if second else None,
        "sure": choice.sure,
    }


def chosen(folder: Path, language: str = English) -> dict[str, Any] | None:
    """The choice in a run's grid folder; None where none was made."""
    choice = read_choice(folder)
    return choice_values(choice, language) if choice else None


def learnt_share(candidate: Candidate) -> float | None:
    """How many percent of the base model's held-out loss are gone; of the training images' where none are held out.
    Losses do not know of the weight, so all weights of an epoch share it."""
    for name in ("held_out", "train"):
        loss, base = candidate.measures.get(name), candidate.measures.get(f"{name}_base")
        if loss is not None and base:
            return round(100 * (1 - loss / base), 1)
    return None


def _row(candidate: Candidate) -> dict[str, Any]:
    measures = {name: candidate.measures[name] for name in MEASURES if name in candidate.measures}
    rounded = {name: float(f"{value:.5g}") for name, value in measures.items()}
    return {"epoch": candidate.epoch, "weight": candidate.weight, "learnt": learnt_share(candidate), **rounded}
