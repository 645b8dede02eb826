"""The chart's lines."""

from __future__ import annotations

import math

from lora_trainer.status import Status
from lora_trainer.ui.series import MOST_POINTS, every, loss_series, smoothed, thinned


def test_a_flat_line_stays_flat_and_a_wave_is_damped() -> None:
    flat = [(float(step), 0.5) for step in range(100)]
    assert all(math.isclose(loss, 0.5) for _, loss in smoothed(flat))
    wave = [(float(step), 0.5 + 0.4 * (-1) ** step) for step in range(100)]
    assert max(abs(loss - 0.5) for _, loss in smoothed(wave)[5:-5]) < 0.15


def test_many_points_become_few_and_outliers_stay() -> None:
    points = [(float(step), 0.1) for step in range(20_000)]
    points[12_345] = (12_345.0, 9.0)
    assert len(thinned(points)) <= MOST_POINTS
    assert (12_345.0, 9.0) in thinned(points)
    assert len(every(points)) <= MOST_POINTS
    assert every(points)[-1] == points[-1]


def test_lines_hold_numbers_only() -> None:
    status = Status(steps=40, epochs=4, losses=[0.1, math.nan, 0.2], validated=[(0, 0.0, math.inf), (2, 0.25, 0.2)])
    series = loss_series(status)
    assert series["raw"] == [(1, 0.1), (3, 0.2)]
    assert series["held_out"] == [(20.0, 0.25)]
    assert series["train"] == [(20.0, 0.2)]


def test_nothing_yet() -> None:
    assert loss_series(Status()) == {"raw": [], "smooth": [], "held_out": [], "train": []}
