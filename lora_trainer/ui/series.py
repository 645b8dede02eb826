"""The losses as lines for the chart: few enough points for a screen, the same smoothing as in the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from lora_trainer.status import Status

MOST_POINTS = 400  # of a line; a screen shows no more
SMOOTHING = 30  # the smoothed loss averages over this fraction of all steps

Point = tuple[float, float]


def loss_series(status: Status) -> dict[str, list[Point]]:
    """Points (step, loss): ``raw`` and ``smooth`` of the steps, ``held_out`` and ``train`` of the validations."""
    raw = [(step, loss) for step, loss in enumerate(status.losses, start=1) if math.isfinite(loss)]
    per_epoch = status.steps / status.epochs if status.epochs else 0.0
    lines = {"raw": thinned(raw), "smooth": every(smoothed(raw))}
    for place, name in ((1, "held_out"), (2, "train")):
        points = [(entry[0] * per_epoch, float(entry[place])) for entry in status.validated]
        lines[name] = [
            (step, loss) for step, loss in points if math.isfinite(loss) and loss > 0
        ]  # 0: none were held out
    return {name: [(round(step, 1), float(f"{loss:.5g}")) for step, loss in points] for name, points in lines.items()}


def smoothed(points: Sequence[Point]) -> list[Point]:
    """A centred moving average, narrower at both ends."""
    reach = max(1, len(points) // SMOOTHING // 2)
    sums = [0.0, *accumulate(loss for _, loss in points)]
    spans = [(max(0, i - reach), min(len(points), i + reach + 1)) for i in range(len(points))]
    return [(step, (sums[b] - sums[a]) / (b - a)) for (step, _), (a, b) in zip(points, spans, strict=True)]


def every(points: Sequence[Point]) -> list[Point]:
    """Evenly spread points, the last among them."""
    stride = -(-len(points) // MOST_POINTS) or 1
    return list(points[::-1][::stride][::-1])


def thinned(points: Sequence[Point]) -> list[Point]:
    """The lowest and the highest point of each stretch, so that outliers stay."""
    stretch = -(-2 * len(points) // MOST_POINTS)
    if stretch <= 2:
        return list(points)
    kept: list[Point] = []
    for i in range(0, len(points), stretch):
        part = points[i : i + stretch]
        kept += sorted({min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])})
    return kept
