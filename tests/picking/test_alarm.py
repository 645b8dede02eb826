"""The notice about overfitting: when it is given, and when a dip or noise is none."""

from __future__ import annotations

import pytest

from lora_trainer.picking.alarm import Measured, alarm


def course(held_out: list[float], train: list[float] | None = None) -> list[Measured]:
    """Losses from the base model's on."""
    return [(epoch, loss, (train or held_out)[epoch]) for epoch, loss in enumerate(held_out)]


def test_a_loss_that_falls_is_well() -> None:
    assert alarm(course([1.0, 0.9, 0.8, 0.75, 0.72, 0.70, 0.69])) is None


def test_a_rise_counts_when_it_lasts_as_long_as_the_fall_did() -> None:
    fall, rise = [1.0, 0.9, 0.8, 0.7], [0.74, 0.78, 0.80]
    assert alarm(course([*fall, *rise[:2]])) is None
    told = alarm(course([*fall, *rise]))
    assert told is not None
    assert told.key == "rising"
    assert (told.values["best"], told.values["epochs"]) == (3, 3)
    assert "9" in told.text("en")  # epochs up to three times the lowest
    assert told.text("en") != told.text("zh")


def test_a_late_lowest_point_gets_more_patience() -> None:
    fall = [1.0, *(0.9 - 0.02 * epoch for epoch in range(10))]
    assert alarm(course([*fall, *[0.75] * 5])) is None
    assert alarm(course([*fall, *[0.75] * 11])) is not None


def test_noise_around_a_level_is_none() -> None:
    assert alarm(course([1.0, 0.8, 0.801, 0.799, 0.802, 0.8, 0.801, 0.799])) is None


def test_a_gap_that_grows_is_told_before_the_loss_rises() -> None:
    held_out = [1.0, 0.9, 0.85, 0.845, 0.846, 0.846]
    train = [0.9, 0.8, 0.72, 0.67, 0.62, 0.57]
    told = alarm(course(held_out, train))
    assert told is not None
    assert told.key == "gap"
    assert told.values["points"] == pytest.approx(100 * (0.846 - 0.57 / 0.9), abs=0.5)
    assert alarm(course(held_out, [0.9, 0.8, 0.78, 0.77, 0.775, 0.77])) is None


@pytest.mark.parametrize("measured", [[], [(0, 1.0, 1.0)], [(epoch, 0.0, 0.0) for epoch in range(9)]])
def test_without_measures_nothing_is_said(measured: list[Measured]) -> None:
    assert alarm(measured) is None
