"""The plan holds every cell once, in an order that loads each LoRA once, and knows what the WebUI would refuse."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from lora_trainer.errors import BadSettings
from lora_trainer.host.protocol import ImageRequest
from lora_trainer.picking.files import EpochFile
from lora_trainer.picking.plan import Cell, check_size, spread, weight_text

from .grids import plan_of


def epochs(*numbers: int) -> list[EpochFile]:
    return [EpochFile(number, Path(f"hero-{number:06d}.safetensors")) for number in numbers]


def picked(count: int, most: int, keep: int | None = None) -> list[int]:
    return [file.epoch for file in spread(epochs(*range(1, count + 1)), most, keep)]


def test_the_base_model_is_drawn_once_per_prompt_and_seed_and_every_lora_in_one_go(tmp_path: Path) -> None:
    cells = plan_of(tmp_path, seeds=(1, 2)).cells()
    assert cells[:4] == tuple(Cell(None, None, prompt, seed) for prompt in (0, 1) for seed in (0, 1))
    assert len(cells) == len(set(cells)) == 4 + 3 * 2 * 4
    loras = [(cell.epoch, cell.weight) for cell in cells[4:]]
    changes = [pair for pair, before in zip(loras, [None, *loras], strict=False) if pair != before]
    assert changes == [(epoch, weight) for epoch in (1, 2, 3) for weight in (0.5, 1.0)]


def test_a_cell_asks_for_its_own_values_and_the_shared_ones(tmp_path: Path) -> None:
    template = ImageRequest(
        prompt="", negative_prompt="blurry", steps=9, cfg_scale=5.5, width=64, height=96, sampler="DDIM"
    )
    plan = plan_of(tmp_path, seeds=(7, 8), template=template)
    asked = Cell(2, 0.5, 1, 1).request(plan)
    assert (asked.prompt, asked.seed, asked.weight) == ("hero, close-up", 8, 0.5)
    assert asked.lora == tmp_path / "loras" / "hero-000002.safetensors"
    assert (asked.negative_prompt, asked.steps, asked.cfg_scale, asked.width, asked.height) == (
        "blurry",
        9,
        5.5,
        64,
        96,
    )
    base = Cell(None, None, 0, 0).request(plan)
    assert (base.lora, base.prompt, base.seed, base.sampler) == (None, "hero, red hat", 7, "DDIM")


@pytest.mark.parametrize(
    ("changed", "key", "field"),
    [
        ({"weights": ()}, "grid_empty", "grid_weights"),
        ({"prompts": ()}, "grid_empty", "sample_prompts"),
        ({"epochs": ()}, "grid_empty", "epochs"),
        ({"seeds": ()}, "grid_empty", "sample_seed"),
        ({"weights": (0.8, 1.0, 0.8)}, "grid_twice", "grid_weights"),
        ({"weights": (0.0, 0.0)}, "grid_twice", "grid_weights"),
        ({"prompts": ("a", "a")}, "grid_twice", "sample_prompts"),
        ({"epochs": tuple(epochs(1, 1))}, "grid_twice", "epochs"),
    ],
)
def test_an_axis_without_values_or_with_one_twice_is_refused(
    tmp_path: Path, changed: dict[str, Any], key: str, field: str
) -> None:
    with pytest.raises(BadSettings) as caught:
        plan_of(tmp_path, **changed)
    assert (caught.value.key, caught.value.field) == (key, field)


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (10, 10, list(range(1, 11))),
        (10, 99, list(range(1, 11))),
        (10, 5, [2, 4, 6, 8, 10]),
        (10, 4, [3, 5, 8, 10]),
        (10, 1, [10]),
        (1, 3, [1]),
        (100, 3, [34, 67, 100]),
    ],
)
def test_epochs_are_spread_evenly_up_to_the_last(count: int, most: int, expected: list[int]) -> None:
    assert picked(count, most) == expected


def test_spread_epochs_are_as_many_as_may_be_and_distances_differ_by_one() -> None:
    for count, most in product(range(1, 30), range(1, 12)):
        chosen = picked(count, most)
        distances = {later - earlier for earlier, later in pairwise([0, *chosen])}
        assert len(chosen) == min(count, most) and chosen[-1] == count, (count, most)
        assert max(distances) - min(distances) <= 1, (count, most)


@pytest.mark.parametrize(("keep", "expected"), [(7, [2, 4, 7, 8, 10]), (1, [1, 4, 6, 8, 10]), (9, [2, 4, 6, 9, 10])])
def test_the_epoch_to_keep_replaces_its_neighbour_but_not_the_last(keep: int, expected: list[int]) -> None:
    assert picked(10, 5, keep) == expected


def test_with_room_for_one_the_epoch_to_keep_wins_and_an_unknown_one_changes_nothing() -> None:
    assert (picked(10, 1, keep=3), picked(10, 5, keep=77)) == ([3], [2, 4, 6, 8, 10])
    assert picked(100, 3, keep=99) == [34, 99, 100]


def test_the_limit_counts_the_marks_cells_and_is_refused_when_reached(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, template=ImageRequest(prompt="", width=1000, height=1000))  # (3 + 1) × (2 + 1) cells
    check_size(plan, limit_mp=13)
    with pytest.raises(BadSettings) as caught:
        check_size(plan, limit_mp=12)
    assert (caught.value.key, caught.value.values["cells"], caught.value.values["megapixels"]) == (
        "grid_too_big",
        12,
        12,
    )


def test_the_webuis_own_default_limit_is_met_by_a_usual_grid(tmp_path: Path) -> None:
    many = tuple(epochs(*range(1, 11)))
    check_size(plan_of(tmp_path, epochs=many, template=ImageRequest(prompt="", width=1024, height=1024)))
    with pytest.raises(BadSettings, match="200 or more"):
        check_size(plan_of(tmp_path, epochs=many, template=ImageRequest(prompt="", width=2560, height=2560)))


@pytest.mark.parametrize(("weight", "text"), [(1.0, "1"), (0.8, "0.8"), (-0.5, "-0.5"), (0.65, "0.65")])
def test_a_weight_is_written_in_one_way(weight: float, text: str) -> None:
    assert weight_text(weight) == text
