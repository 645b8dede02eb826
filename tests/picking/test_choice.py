"""The epoch where held-out loss is lowest, the weight nearest to 1, and honest sentences about both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from lora_trainer.events import Validated
from lora_trainer.picking.choice import (
    Candidate,
    Choice,
    candidates,
    choice_from_json,
    choice_to_json,
    choose,
    read_choice,
    smoothed,
    write_choice,
)

WEIGHTS = (0.6, 0.8, 1.0)


def curve(held_out: Sequence[float], train: Sequence[float] | None = None, first: int = 0) -> list[Validated]:
    """Events of consecutive epochs; the first is the base model's."""
    trains = train or [0.1 * 0.9**i for i in range(len(held_out))]
    return [
        Validated(epoch=first + i, held_out=h, train=t) for i, (h, t) in enumerate(zip(held_out, trains, strict=True))
    ]


def chosen(held_out: Sequence[float], weights: Sequence[float] = WEIGHTS, first: int = 0) -> Choice:
    points = curve(held_out, first=first)
    return choose(candidates([point.epoch for point in points if point.epoch], weights, points))


def keys(choice: Choice) -> list[str]:
    return [reason.key for reason in choice.reasons]


def test_the_lowest_held_out_loss_wins_and_says_why() -> None:
    choice = chosen([0.10, 0.09, 0.082, 0.079, 0.083, 0.09, 0.10])
    assert (choice.epoch, choice.weight, choice.runner_up, choice.sure) == (3, 1.0, (2, 1.0), True)
    assert keys(choice) == ["held_out_better", "rises", "window", "weight_one"]
    said = [reason.text() for reason in choice.reasons]
    assert said[0].endswith("held-out loss is lowest at epoch 3: 0.079 there, 21 % below the base model's.")
    assert "to 0.1 at epoch 6" in said[1]
    assert "compare epochs 3 to 6 in the grid" in said[2]


def test_the_window_ends_at_three_times_the_lowest() -> None:
    choice = chosen([0.1, 0.08, 0.07, *[0.08 + 0.001 * i for i in range(10)]])
    assert choice.epoch == 2
    assert next(r.values for r in choice.reasons if r.key == "window") == {"epoch": 2, "until": 6}


def test_one_lucky_epoch_does_not_win_against_a_low_stretch() -> None:
    assert chosen([0.10, 0.0790, 0.098, 0.084, 0.0795, 0.0795, 0.084, 0.09]).epoch in (4, 5)


def test_the_base_model_does_not_pull_the_first_epoch_up() -> None:
    assert chosen([0.2, 0.080, 0.0815, 0.083, 0.085]).epoch == 1


def test_a_curve_that_still_falls_gives_the_last_epoch_and_asks_for_more() -> None:
    choice = chosen([0.10, 0.09, 0.085, 0.083, 0.082])
    assert (choice.epoch, choice.sure) == (4, False)
    assert keys(choice) == ["held_out_better", "falling", "weight_one"]


def test_a_level_end_is_not_called_a_rise() -> None:
    choice = chosen([0.10, 0.0801, 0.0800, 0.0801, 0.0802, 0.0802])
    assert (choice.epoch, keys(choice)[1]) == (2, "level")


def test_of_equal_epochs_the_later_is_taken() -> None:
    choice = chosen([0.1, 0.08, 0.08, 0.08, 0.08])
    assert (choice.epoch, choice.sure) == (4, False)
    assert "falling" not in keys(choice)


def test_learning_nothing_that_carries_over_is_said() -> None:
    choice = chosen([0.08, 0.085, 0.083, 0.086, 0.09])
    assert (choice.epoch, choice.sure, keys(choice)[0]) == (2, False, "held_out_worse")
    assert "0.08)" in choice.reasons[0].text()


def test_two_epochs_are_too_few_to_be_sure() -> None:
    choice = chosen([0.1, 0.08, 0.09])
    assert (choice.epoch, choice.sure) == (1, False)


def test_one_epoch_is_taken_without_a_runner_up() -> None:
    choice = chosen([0.1, 0.08])
    assert (choice.epoch, choice.runner_up, choice.sure) == (1, None, False)
    assert keys(choice) == ["held_out_better", "weight_one"]


def test_without_a_base_model_the_loss_stands_alone() -> None:
    choice = chosen([0.09, 0.08, 0.079, 0.085], first=1)
    assert (choice.epoch, keys(choice)[0]) == (3, "held_out_alone")


@pytest.mark.parametrize("nothing", [math.nan, 0.0, math.inf])
def test_without_held_out_images_the_last_epoch_is_a_place_to_start(nothing: float) -> None:
    points = curve([nothing] * 5, train=[0.1, 0.09, 0.08, 0.07, 0.06])
    choice = choose(candidates([1, 2, 3, 4], WEIGHTS, points))
    assert (choice.epoch, choice.weight, choice.runner_up, choice.sure) == (4, 1.0, (3, 1.0), False)
    assert keys(choice) == ["train_better", "unmeasured", "weight_one"]
    assert "40 % below" in choice.reasons[0].text()


def test_without_any_measure_the_last_epoch_is_taken() -> None:
    choice = choose(candidates([2, 4], [0.8], []))
    assert (choice.epoch, choice.weight, choice.sure) == (4, 0.8, False)
    assert keys(choice) == ["unmeasured", "weight_near"]


@pytest.mark.parametrize(
    ("weights", "best"),
    [((0.6, 0.8), 0.8), ((0.5, 1.2), 1.2), ((0.9, 1.1), 0.9), ((1.25, 0.75), 0.75), ((1.0, 0.2), 1.0)],
)
def test_the_weight_is_the_nearest_to_one_and_the_gentler_of_two(weights: tuple[float, ...], best: float) -> None:
    assert chosen([0.1, 0.08, 0.09, 0.1], weights).weight == best


def test_an_epoch_whose_file_is_gone_is_not_chosen_but_smooths_its_neighbours() -> None:
    points = curve([0.1, 0.09, 0.07, 0.08, 0.09])
    made = candidates([1, 3, 4], [1.0], points)
    assert choose(made).epoch == 3
    assert made[1].measures["held_out_smooth"] == pytest.approx((0.07 + 2 * 0.08 + 0.09) / 4)


def test_smoothing_keeps_falling_curves_falling_and_constant_ones_constant() -> None:
    falling = smoothed({i: 1 / i for i in range(1, 20)})
    assert list(falling.values()) == sorted(falling.values(), reverse=True)
    assert set(smoothed({1: 0.5, 2: 0.5, 5: 0.5}).values()) == {0.5}
    assert smoothed({}) == {}


def test_a_measured_candidate_beats_an_unmeasured_one() -> None:
    assert choose([Candidate(9, 1.0, {}), Candidate(2, 1.0, {"held_out": 0.5, "held_out_smooth": 0.5})]).epoch == 2


def test_no_candidate_is_a_programming_error() -> None:
    with pytest.raises(ValueError):
        choose([])


def test_a_choice_survives_its_file(tmp_path: Path) -> None:
    assert read_choice(tmp_path) is None
    for choice in (chosen([0.1, 0.08, 0.09, 0.1]), chosen([0.1, 0.08])):
        assert choice_from_json(choice_to_json(choice)) == choice
        assert write_choice(tmp_path / "grid", choice) == tmp_path / "grid" / "choice.json"
        assert read_choice(tmp_path / "grid") == choice


def test_every_reason_can_be_said_in_both_languages() -> None:
    for held_out in ([0.1, 0.08, 0.09, 0.1], [0.1, 0.09, 0.08], [0.08, 0.09, 0.1], [0.1, 0.09, 0.08, 0.0801]):
        for reason in chosen(held_out, (0.7,)).reasons:
            assert "{" not in reason.text("en") + reason.text("zh")
