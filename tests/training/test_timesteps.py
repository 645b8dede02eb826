"""Noise levels: all as likely, and how evenly they are spread."""

from __future__ import annotations

import pytest
import torch

from lora_trainer.errors import BadSettings
from lora_trainer.settings import LossSettings
from lora_trainer.training.timesteps import timestep_range, timesteps

STRATIFIED, UNIFORM = LossSettings(), LossSettings(timestep_sampling="uniform")


def drawn(settings: LossSettings, count: int = 20_000, start: int = 0, seed: int = 3) -> torch.Tensor:
    return timesteps(range(start, start + count), seed, settings, 1000)


def discrepancy(times: torch.Tensor) -> float:
    """Star discrepancy of the timesteps, in 0 ... 1 (Niederreiter's formula for sorted points)."""
    points = (times.double().sort().values + 0.5) / 1000
    places = (2 * torch.arange(1, len(points) + 1) - 1) / (2 * len(points))
    return float((points - places).abs().max()) + 1 / (2 * len(points))


@pytest.mark.parametrize("settings", [STRATIFIED, UNIFORM])
def test_every_timestep_is_as_likely(settings: LossSettings) -> None:
    counts = torch.bincount(drawn(settings), minlength=1000).double()
    assert len(counts) == 1000
    chi_square = float(((counts - 20) ** 2 / 20).sum())  # 999 degrees of freedom: 1150 is exceeded once in 1700 times
    assert chi_square < 1150


@pytest.mark.parametrize("settings", [STRATIFIED, UNIFORM])
def test_one_image_meets_every_timestep_over_the_seeds(settings: LossSettings) -> None:
    """The start is random, so the marginal of every single place is uniform too."""
    times = torch.cat([timesteps([17], seed, settings, 10) for seed in range(5000)])
    assert torch.bincount(times, minlength=10).double().div(500).sub(1).abs().max() < 0.15


@pytest.mark.parametrize("count", [50, 500, 5000])
def test_stratified_is_more_even_than_chance(count: int) -> None:
    for seed in range(5):
        start = 1000 * seed
        assert discrepancy(drawn(STRATIFIED, count, start, seed)) < 2.5 / count**0.9  # about log(n) / n
        assert discrepancy(drawn(UNIFORM, count, start, seed)) > 0.4 / count**0.5


@pytest.mark.parametrize("size", [2, 3, 4, 8, 12])
def test_every_batch_is_spread_over_the_range(size: int) -> None:
    """Neighbours around the circle are nowhere nearer or farther than the three-gap theorem allows."""
    for batch in range(200):
        times = drawn(STRATIFIED, size, start=batch * size).sort().values
        gaps = torch.diff(torch.cat([times, times[:1] + 1000])).double() * size / 1000
        assert float(gaps.min()) > 0.38
        assert float(gaps.max()) < 1.9


def test_successive_single_images_are_spread_too() -> None:
    times = torch.stack([timesteps([step], 5, STRATIFIED, 1000)[0] for step in range(8)])
    assert len(set((times // 250).tolist())) == 4


def test_pure_function_of_seed_and_number() -> None:
    for settings in (STRATIFIED, UNIFORM):
        whole = drawn(settings, 12)
        parts = [timesteps(numbers, 3, settings, 1000) for numbers in ([0, 1, 2], [3], range(4, 12))]
        assert torch.equal(whole, torch.cat(parts))
        assert not torch.equal(whole, drawn(settings, 12, seed=4))
    far = timesteps(range(10**12, 10**12 + 100), 3, STRATIFIED, 1000)  # exact, however far
    assert discrepancy(far) < 0.04


def test_range() -> None:
    for sampling in ("stratified", "uniform"):
        settings = LossSettings(min_timestep=200, max_timestep=700, timestep_sampling=sampling)
        times = drawn(settings)
        assert (int(times.min()), int(times.max())) == (200, 699)
        assert float(times.double().mean()) == pytest.approx(449.5, abs=4)
    assert timestep_range(LossSettings(), 50) == range(50)
    with pytest.raises(BadSettings, match="min_timestep"):
        timestep_range(LossSettings(min_timestep=700, max_timestep=700), 1000)
