"""The losses as lines for the chart: few enough points for a screen, the same smoothing as in the report."""

from __future__ import annotations

import math

from lora_trainer.picking.lines import Point, averaged, every, thinned
from lora_trainer.status import Status

Series = dict[str, list[Point]]


def loss_series(status: Status) -> Series:
    """Points (step, loss): ``raw`` and ``smooth`` of the steps, ``held_out`` and ``train`` of the validations; and
    (step, learning rate): ``lr``."""
    raw = [(step, loss) for step, loss in enumerate(status.losses, start=1) if math.isfinite(loss)]
    per_epoch = status.steps / status.epochs if status.epochs else 0.0
    lines = {"raw": thinned(raw), "smooth": every(averaged(raw))}
    for place, name in ((1, "held_out"), (2, "train")):
        points = [(entry[0] * per_epoch, float(entry[place])) for entry in status.validated]
        lines[name] = [
            (step, loss) for step, loss in points if math.isfinite(loss) and loss > 0
        ]  # 0: none were held out
    rates = [(step, rate) for step, rate in enumerate(status.rates, start=1) if rate]
    lines["lr"] = every(rates)
    return {name: [(round(step, 1), float(f"{loss:.5g}")) for step, loss in points] for name, points in lines.items()}
