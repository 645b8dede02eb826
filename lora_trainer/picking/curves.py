"""The loss as a picture: an inline SVG that follows the page's colours, and the same in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from lora_trainer.events import Stepped, Validated
from lora_trainer.language import English, translate
from lora_trainer.picking.lines import Point, averaged, thinned

WIDTH, HEIGHT = 640, 320  # of the drawing; text is 13 high, so it is legible down to about 500 pixels
LEFT, RIGHT, TOP, BOTTOM = 56, 628, 40, 268

# Contrast above 3 on white and on the report's dark paper; form (width, dash, marker) tells the lines apart as well.
STYLE = """<style>
.lt-curve text{font:13px system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;fill:currentColor}
.lt-curve .grid{stroke:currentColor;stroke-opacity:.16}.lt-curve .axis{stroke:currentColor;stroke-opacity:.6}
.lt-curve polyline{fill:none;stroke-linejoin:round}
.lt-curve .raw{stroke:#7a8794;stroke-opacity:.4;stroke-width:.8}.lt-curve .smooth{stroke:#7a8794;stroke-width:2.5}
.lt-curve .held_out{stroke:#d4570f;stroke-width:2.5}.lt-curve circle.held_out{fill:#d4570f}
.lt-curve .train{stroke:#2f7fd0;stroke-width:2;stroke-dasharray:6 4}
.lt-curve rect.train{fill:#2f7fd0;stroke-dasharray:none}
.lt-curve .chosen{stroke:currentColor;stroke-width:1.5;stroke-dasharray:2 3}
</style>"""


@dataclass(frozen=True)
class Axes:
    """Steps run to the right from 0, losses upwards; both are mapped into the frame."""

    steps: float
    low: float
    high: float

    def x(self, step: float) -> float:
        return LEFT + (RIGHT - LEFT) * step / self.steps

    def y(self, loss: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (loss - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Curves:
    """The points of every line, in steps and losses; ``ends`` are the steps at which the epochs end."""

    raw: list[Point]
    smooth: list[Point]
    held_out: list[Point]
    train: list[Point]
    ends: dict[int, float]


def loss_curve(
    steps: Sequence[Stepped], curve: Sequence[Validated], chosen: int | None = None, language: str = English
) -> str:
    """An ``<svg>`` of the steps' loss, raw and smoothed, and of both validation losses; empty when there is nothing."""
    curves = _curves(steps, curve)
    axes = _axes(curves)
    if axes is None:
        return ""
    frame = f'width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"'
    label = escape(translate("curve.title", language) + " " + curve_text(steps, curve, language), quote=True)
    parts = [
        f'<svg class="lt-curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">',
        STYLE,
        *_loss_ticks(axes),
        *_epoch_ticks(axes, curves.ends, language),
        f'<svg x="{LEFT}" y="{TOP}" {frame} viewBox="{LEFT} {TOP} {RIGHT - LEFT} {BOTTOM - TOP}">',
        *(_line(name, getattr(curves, name), axes) for name in ("raw", "smooth")),
        "</svg>",
        *_chosen(axes, curves.ends, chosen),
        *(_line(name, getattr(curves, name), axes) for name in ("train", "held_out")),
        *_marks(axes, curves),
        *_legend(curves, language),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def curve_text(steps: Sequence[Stepped], curve: Sequence[Validated], language: str = English) -> str:
    """What the curve shows, in sentences."""
    curves = _curves(steps, curve)
    said = []
    if curves.smooth:
        values = {"first": curves.smooth[0][1], "last": curves.smooth[-1][1], "steps": len(steps)}
        said.append(translate("curve.steps", language, **values))
    for name in ("held_out", "train"):
        if losses := _measured(curve, name):
            lowest = min(losses, key=lambda epoch: losses[epoch])
            first, last = min(losses), max(losses)
            values = {"first": losses[first], "begin": first, "last": losses[last], "end": last}
            said.append(translate(f"curve.{name}", language, low=losses[lowest], lowest=lowest, **values))
    return " ".join(said) if language == English else "".join(said)


def _measured(curve: Sequence[Validated], name: str) -> dict[int, float]:
    """The losses ``name`` by epoch; what is not a positive number was not measured."""
    losses = {point.epoch: float(getattr(point, name)) for point in curve}
    return {epoch: loss for epoch, loss in losses.items() if math.isfinite(loss) and loss > 0}


def _curves(steps: Sequence[Stepped], curve: Sequence[Validated]) -> Curves:
    """The lines; where there are no steps, an epoch counts as one."""
    raw = [(float(step.step), step.loss) for step in steps if math.isfinite(step.loss)]
    ends = {point.epoch: float(point.epoch) for point in curve}
    if steps:
        ends = {0: 0.0, **{step.epoch: float(step.step) for step in steps}}
    held_out, train = (
        [(ends[epoch], loss) for epoch, loss in _measured(curve, name).items() if epoch in ends]
        for name in ("held_out", "train")
    )
    return Curves(raw, averaged(raw), held_out, train, ends)


def _axes(curves: Curves) -> Axes | None:
    """Room for every line but the raw one, of which single steps may leave the frame."""
    losses = [loss for line in (curves.smooth, curves.held_out, curves.train) for _, loss in line]
    end = max(curves.ends.values(), default=0.0)
    if not losses or end <= 0:
        return None
    low, high = min(losses), max(losses)
    room = max((high - low) * 0.12, high * 0.01, 1e-9)
    return Axes(end, max(0.0, low - room), high + room)


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between ``low`` and ``high``, about ``most`` of them, 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    distance = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.ceil(low / distance - 1e-9), math.floor(high / distance + 1e-9)
    return [float(f"{i * distance:.6g}") for i in range(first, last + 1)]


def _loss_ticks(axes: Axes) -> Iterator[str]:
    for loss in nice_ticks(axes.low, axes.high, 6):
        y = axes.y(loss)
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{loss:g}</text>'


def _epoch_ticks(axes: Axes, ends: dict[int, float], language: str) -> Iterator[str]:
    """A tick at the end of every epoch, and numbers as far as there is room."""
    yield f'<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{BOTTOM}"/>'
    distance = max(1, round(nice_ticks(0, max(ends), 12)[1])) if max(ends) > 12 else 1
    for epoch, step in ends.items():
        x, numbered = axes.x(step), epoch % distance == 0
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{BOTTOM}" y2="{BOTTOM + (6 if numbered else 3)}"/>'
        if numbered:
            yield f'<text x="{x:.1f}" y="{BOTTOM + 21}" text-anchor="middle">{epoch}</text>'
    name = escape(translate("curve.epoch", language))
    yield f'<text x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{name}</text>'


def _line(name: str, points: Sequence[Point], axes: Axes) -> str:
    if not points:
        return ""
    places = " ".join(f"{axes.x(step):.1f},{axes.y(loss):.1f}" for step, loss in thinned(points))
    return f'<polyline class="{name}" points="{places}"/>'


def _chosen(axes: Axes, ends: dict[int, float], chosen: int | None) -> Iterator[str]:
    """An upright line at the chosen epoch, with a star."""
    if chosen in ends:
        x = axes.x(ends[chosen])
        yield f'<line class="chosen" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BOTTOM}"/>'
        yield f'<text x="{x:.1f}" y="{TOP + 4}" text-anchor="middle">★</text>'


def _marks(axes: Axes, curves: Curves) -> Iterator[str]:
    for step, loss in curves.train:
        yield f'<rect class="train" x="{axes.x(step) - 3:.1f}" y="{axes.y(loss) - 3:.1f}" width="6" height="6"/>'
    for step, loss in curves.held_out:
        yield f'<circle class="held_out" cx="{axes.x(step):.1f}" cy="{axes.y(loss):.1f}" r="3.5"/>'


def _legend(curves: Curves, language: str) -> Iterator[str]:
    """A sample of every line that is drawn, and its name, above the frame."""
    x = float(LEFT)
    for name in ("raw", "smooth", "held_out", "train"):
        if not getattr(curves, name):
            continue
        text = translate(f"curve.legend_{name}", language)
        yield f'<polyline class="{name}" points="{x:.0f},18 {x + 26:.0f},18"/>'
        yield {
            "held_out": f'<circle class="held_out" cx="{x + 13:.0f}" cy="18" r="3.5"/>',
            "train": f'<rect class="train" x="{x + 10:.0f}" y="15" width="6" height="6"/>',
        }.get(name, "")
        yield f'<text x="{x + 32:.0f}" y="22">{escape(text)}</text>'
        x += 32 + 18 + sum(13 if mark > "\u2e80" else 7.2 for mark in text)
