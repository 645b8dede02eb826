"""The chart's lines."""

from __future__ import annotations

import math

from lora_trainer.api.series import loss_series
from lora_trainer.status import Status


def test_lines_hold_numbers_only() -> None:
    status = Status(steps=40, epochs=4, losses=[0.1, math.nan, 0.2], validated=[(0, 0.0, math.inf), (2, 0.25, 0.2)])
    series = loss_series(status)
    assert series["raw"] == [(1, 0.1), (3, 0.2)]
    assert series["held_out"] == [(20.0, 0.25)]
    assert series["train"] == [(20.0, 0.2)]


def test_nothing_yet() -> None:
    assert loss_series(Status()) == {"raw": [], "smooth": [], "held_out": [], "train": [], "lr": []}
