"""The chart's lines."""

from __future__ import annotations

import math

from lora_trainer.picking.lines import MOST_POINTS, averaged, every, thinned


def test_a_flat_line_stays_flat_and_a_wave_is_damped() -> None:
    flat = [(float(step), 0.5) for step in range(100)]
    assert all(math.isclose(loss, 0.5) for _, loss in averaged(flat))
    wave = [(float(step), 0.5 + 0.4 * (-1) ** step) for step in range(100)]
    assert max(abs(loss - 0.5) for _, loss in averaged(wave)[5:-5]) < 0.15


def test_many_points_become_few_and_outliers_stay() -> None:
    points = [(float(step), 0.1) for step in range(20_000)]
    points[12_345] = (12_345.0, 9.0)
    assert len(thinned(points)) <= MOST_POINTS
    assert (12_345.0, 9.0) in thinned(points)
    assert len(every(points)) <= MOST_POINTS
    assert every(points)[-1] == points[-1]
