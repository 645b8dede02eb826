"""Learning rate schedules, against those of diffusers and transformers and published formulas."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import transformers.optimization as of_transformers
from diffusers.optimization import get_scheduler

from lora_trainer.settings import OptimizerSettings
from lora_trainer.settings.training import SCHEDULERS
from lora_trainer.training.schedules import lr_factor, warmup_steps

STEPS, WARMUP = 200, 20


def ours(scheduler: str, steps: int = STEPS, **values: Any) -> list[float]:
    settings = OptimizerSettings(lr_scheduler=scheduler, **{"lr_warmup_steps": WARMUP, **values})
    return [lr_factor(step, steps, settings) for step in range(steps)]


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1)], lr=1.0)


def check(found: list[float], reference: Callable[[int], float]) -> None:
    """Theirs starts the warm-up at 0, a step lost; ours is one step ahead until the top."""
    assert found[:WARMUP] == pytest.approx([reference(step + 1) for step in range(WARMUP)])
    # 1e-6: the polynomial of diffusers and transformers ends at a rate of 1e-7.
    assert found[WARMUP:] == pytest.approx([reference(step) for step in range(WARMUP, STEPS)], abs=1e-6)


@pytest.mark.parametrize(
    ("scheduler", "values", "theirs"),
    [
        ("constant_with_warmup", {}, {}),
        ("linear", {}, {}),
        ("cosine", {}, {}),
        ("cosine_with_restarts", {"lr_scheduler_num_cycles": 1}, {"num_cycles": 1}),
        ("cosine_with_restarts", {"lr_scheduler_num_cycles": 3}, {"num_cycles": 3}),
        ("polynomial", {}, {"power": 1.0}),
        ("polynomial", {"lr_scheduler_power": 2.5}, {"power": 2.5}),
    ],
)
def test_as_diffusers(scheduler: str, values: dict[str, Any], theirs: dict[str, Any]) -> None:
    reference = get_scheduler(
        scheduler, optimizer(), num_warmup_steps=WARMUP, num_training_steps=STEPS, **theirs
    ).lr_lambdas[0]
    check(ours(scheduler, **values), reference)


def test_cosine_with_a_floor_as_transformers() -> None:
    make = getattr(of_transformers, "get_cosine_with_min_lr_schedule_with_warmup", None)
    if make is None:
        pytest.skip("this transformers has no such schedule")
    reference = make(optimizer(), WARMUP, STEPS, min_lr_rate=0.25).lr_lambdas[0]
    check(ours("cosine_with_min_lr", lr_scheduler_min_lr_ratio=0.25), reference)


def test_warmup_stable_decay_as_transformers() -> None:
    make = getattr(of_transformers, "get_wsd_schedule", None)
    if make is None:
        pytest.skip("this transformers has no such schedule")
    reference = make(optimizer(), WARMUP, 50, num_training_steps=STEPS, min_lr_ratio=0.1).lr_lambdas[0]
    found = ours("warmup_stable_decay", lr_decay=0.25)
    assert found[WARMUP:] == pytest.approx([reference(step) for step in range(WARMUP, STEPS)])


def test_warmup_stable_decay_by_hand() -> None:
    found = ours("warmup_stable_decay", lr_decay=0.25, lr_scheduler_min_lr_ratio=0.2)
    assert set(found[WARMUP:150]) == {1.0}
    assert found[175] == pytest.approx(0.6)  # half of the way down to 0.2
    assert found[-1] == pytest.approx(0.2, abs=0.01)
    assert set(ours("warmup_stable_decay", lr_decay=0.0)[WARMUP:]) == {1.0}
    whole = ours("warmup_stable_decay", lr_decay=1.0)  # no more than the warm-up leaves
    assert whole[WARMUP] == 1.0
    assert whole[WARMUP + 90] == pytest.approx(0.55)


def test_rex_as_published() -> None:
    """arXiv 2107.04197, algorithm 1: (1 - z) / (1/2 + 1/2 (1 - z)) at share z of the steps."""
    found = ours("rex", lr_warmup_steps=0, lr_warmup=0.0, lr_scheduler_min_lr_ratio=0.0)
    assert found == pytest.approx([(1 - t / STEPS) / (0.5 + 0.5 * (1 - t / STEPS)) for t in range(STEPS)])
    assert found[STEPS // 2] == pytest.approx(2 / 3)
    floored = ours("rex", lr_warmup_steps=0, lr_warmup=0.0, lr_scheduler_min_lr_ratio=0.1)
    assert floored[0] == 1.0
    assert floored[STEPS // 2] == pytest.approx(0.1 + 0.9 * 2 / 3)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_every_schedule_stays_between_0_and_1_at_any_length(scheduler: str, steps: int) -> None:
    settings = OptimizerSettings(lr_scheduler=scheduler, lr_warmup=0.5, lr_decay=0.9)
    found = [lr_factor(step, steps, settings) for step in range(steps + 3)]  # a resumed run may be a little longer
    assert all(0 <= factor <= 1 for factor in found)
    assert found[0] > 0


@pytest.mark.parametrize("scheduler", [name for name in SCHEDULERS if name != "cosine_with_restarts"])
def test_none_rises_after_the_warmup(scheduler: str) -> None:
    assert all(a >= b for a, b in pairwise(ours(scheduler)[WARMUP:]))


def test_the_warmup_is_a_share_or_a_number_of_steps() -> None:
    assert warmup_steps(1000, OptimizerSettings(lr_warmup=0.05)) == 50
    assert warmup_steps(1000, OptimizerSettings(lr_warmup=0.05, lr_warmup_steps=7)) == 7
    assert ours("constant", lr_warmup=0.0, lr_warmup_steps=0) == [1.0] * STEPS
    assert ours("constant") == ours("constant_with_warmup")
    assert ours("constant", lr_warmup_steps=0, lr_warmup=0.1)[:20] == pytest.approx([i / 20 for i in range(1, 21)])
    assert max(ours("cosine", lr_warmup_steps=2 * STEPS)) == 0.5
