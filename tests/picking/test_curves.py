"""The chart is sound XML whose points stand where the losses are, and its text says the same."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from lora_trainer.events import Stepped, Validated
from lora_trainer.picking.curves import BOTTOM, LEFT, RIGHT, STYLE, TOP, curve_text, loss_curve, nice_ticks
from lora_trainer.picking.lines import MOST_POINTS

SVG = "{http://www.w3.org/2000/svg}"


def stepped(losses: list[float], per_epoch: int = 10) -> list[Stepped]:
    return [
        Stepped(step=i + 1, epoch=i // per_epoch + 1, loss=loss, lr=1e-4, seconds=1.0) for i, loss in enumerate(losses)
    ]


def validated(held_out: list[float]) -> list[Validated]:
    return [Validated(epoch=i, held_out=loss, train=loss / 2) for i, loss in enumerate(held_out)]


def parsed(svg: str) -> ElementTree.Element:
    """Inline SVG has no namespace of its own; everything in it must still be well-formed."""
    return ElementTree.fromstring(svg)


def points(svg: str, name: str) -> list[tuple[float, float]]:
    """The points of the chart's line ``name``; the first polyline of that class may be the legend's."""
    lines = [line for line in parsed(svg).iter("polyline") if line.get("class") == name]
    longest = max(lines, key=lambda line: len(line.get("points", "")))
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in longest.get("points", "").split())]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter("text")]


def test_lines_stand_where_the_losses_are() -> None:
    svg = loss_curve(stepped([0.2] * 40), validated([0.2, 0.15, 0.1, 0.12, 0.16]))
    held_out = points(svg, "held_out")
    assert [x for x, _ in held_out] == pytest.approx([LEFT + (RIGHT - LEFT) * i / 4 for i in range(5)], abs=0.1)
    heights = [y for _, y in held_out]
    assert heights.index(max(heights)) == 2 and heights.index(min(heights)) == 0  # y grows downwards
    spans = [(heights[2] - y) / (heights[2] - heights[0]) for y in heights]
    assert spans == pytest.approx([1, 0.5, 0, 0.2, 0.6], abs=0.01)
    assert all(TOP <= y <= BOTTOM for _, y in held_out + points(svg, "train"))


def test_epochs_have_ticks_and_numbers() -> None:
    svg = loss_curve(stepped([0.1] * 50), validated([0.1] * 6))
    assert [text for text in texts(svg) if text.isdigit()] == ["0", "1", "2", "3", "4", "5"]
    assert "epoch" in texts(svg)


def test_many_epochs_are_numbered_with_gaps() -> None:
    svg = loss_curve(stepped([0.1] * 1000), [])
    numbers = [int(text) for text in texts(svg) if text.isdigit()]
    assert numbers == list(range(0, 101, 10))
    assert len([line for line in parsed(svg).iter("line") if line.get("class") == "axis"]) == 102


def test_smoothing_calms_the_steps() -> None:
    noisy = [0.1 + 0.05 * (-1) ** i for i in range(600)]
    svg = loss_curve(stepped(noisy, 60), [])
    heights = [y for _, y in points(svg, "smooth")]
    raw = [y for _, y in points(svg, "raw")]
    assert (max(heights) - min(heights)) * 3 < max(raw) - min(raw)


def test_a_spike_is_drawn_but_does_not_flatten_the_rest() -> None:
    losses = [0.1 - 0.0001 * i for i in range(400)]
    losses[100] = 50.0
    svg = loss_curve(stepped(losses), [])
    assert min(y for _, y in points(svg, "raw")) < TOP  # outside, cut off by the frame
    frame = next(iter(parsed(svg).iter("svg")))
    assert frame is not None


def test_thousands_of_steps_become_few_points_and_keep_the_extremes() -> None:
    losses = [0.1 + 0.01 * math.sin(i / 300) for i in range(20_000)]
    losses[7777] = 0.9
    raw = points(loss_curve(stepped(losses, 1000), []), "raw")
    assert len(raw) <= MOST_POINTS + 2
    assert min(y for _, y in raw) < min(y for x, y in raw if abs(x - (LEFT + (RIGHT - LEFT) * 7778 / 20_000)) > 2) - 100


def test_the_chosen_epoch_is_marked_by_line_and_star() -> None:
    svg = loss_curve(stepped([0.1] * 40), validated([0.2, 0.1, 0.1, 0.1, 0.1]), chosen=3)
    line = next(line for line in parsed(svg).iter("line") if line.get("class") == "chosen")
    assert float(line.get("x1", "0")) == pytest.approx(LEFT + (RIGHT - LEFT) * 3 / 4, abs=0.1)
    assert "★" in texts(svg)
    assert "★" not in texts(loss_curve(stepped([0.1] * 40), [], chosen=None))


def test_validation_alone_is_drawn_over_epochs() -> None:
    svg = loss_curve([], validated([0.2, 0.15, 0.1]))
    assert [x for x, _ in points(svg, "held_out")] == pytest.approx([LEFT, (LEFT + RIGHT) / 2, RIGHT], abs=0.1)
    assert "each step" not in texts(svg) and "held-out images" in texts(svg)


def test_an_epoch_without_steps_has_no_place_in_the_chart() -> None:
    assert len(points(loss_curve(stepped([0.1] * 20), validated([0.2, 0.15, 0.1, 0.05])), "held_out")) == 3


def test_what_was_not_measured_is_left_out() -> None:
    nan = [Validated(epoch=i, held_out=math.nan, train=0.1 + i) for i in range(3)]
    svg = loss_curve(stepped([0.1, math.nan, 0.1, math.inf] * 5), nan)
    assert "nan" not in svg and "inf" not in svg.replace("info", "")
    assert "held-out images" not in texts(svg) and "training images" in texts(svg)


@pytest.mark.parametrize("curve", [[], [Validated(epoch=0, held_out=0.1, train=0.1)], validated([0.0, 0.0])])
def test_nothing_to_draw_is_no_chart(curve: list[Validated]) -> None:
    assert loss_curve([], curve) == ""


def test_a_constant_loss_is_drawn() -> None:
    assert len(points(loss_curve(stepped([0.1] * 20), []), "smooth")) == 20


def test_the_text_says_what_the_chart_shows() -> None:
    said = curve_text(stepped([0.12] * 50 + [0.08] * 50), validated([0.1, 0.09, 0.08, 0.085]))
    assert "Over 100 steps the smoothed loss went from 0.12 to 0.08." in said
    assert "from 0.1 (epoch 0) to 0.085 (epoch 3) and was lowest, 0.08, at epoch 2." in said
    chinese = curve_text(stepped([0.12] * 50), validated([0.1, 0.09]), "zh")
    assert "经过 50 步" in chinese and "第 1 轮最低" in chinese
    label = parsed(loss_curve(stepped([0.1] * 20), [], language="zh")).get("aria-label", "")
    assert label.startswith("损失曲线")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0.052, 0.118, [0.06, 0.08, 0.1]), (3, 97, [20, 40, 60, 80])],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert nice_ticks(low, high, 5) == pytest.approx(expected)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("paper", ["#ffffff", "#14181d"])
@pytest.mark.parametrize("colour", sorted(set(re.findall("#[0-9a-f]{6}", STYLE))))
def test_lines_stand_out_on_light_and_dark_paper(colour: str, paper: str) -> None:
    darker, lighter = sorted((luminance(colour), luminance(paper)))
    assert (lighter + 0.05) / (darker + 0.05) >= 3
