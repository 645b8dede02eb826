"""Learning rate schedules: stateless functions of the step."""

from __future__ import annotations

import math


def lr_factor(step: int, steps: int, kind: str, warmup: float) -> float:
    """Factor on the learning rate at ``step`` (from 0) of ``steps``; ``warmup`` is the share of steps of the linear
    rise.

    ``constant`` holds 1 and ``cosine`` falls to 0 along half a cosine (arXiv 1608.03983).
    """
    rising = round(steps * warmup)
    if step < rising:
        return (step + 1) / rising
    if kind == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
