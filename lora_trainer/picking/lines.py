"""Lines of a chart: smoothed, and with no more points than a screen can show. The report and the tab draw the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

MOST_POINTS = 400  # of a line; a screen shows no more
SMOOTHING = 15  # the smoothed line averages over one part in so many of all points

Point = tuple[float, float]


def averaged(points: Sequence[Point]) -> list[Point]:
    """A centred moving average, narrower at both ends."""
    reach = max(1, len(points) // SMOOTHING // 2)
    sums = [0.0, *accumulate(value for _, value in points)]
    spans = [(max(0, i - reach), min(len(points), i + reach + 1)) for i in range(len(points))]
    return [(at, (sums[high] - sums[low]) / (high - low)) for (at, _), (low, high) in zip(points, spans, strict=True)]


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
