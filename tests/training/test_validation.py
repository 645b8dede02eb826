"""The held-out loss: fixed tuples, spread timesteps, and a fair comparison with the base model."""

from __future__ import annotations

import pytest
import torch

from lora_trainer.checkpoint.noise import NoiseSchedule, noise_schedule
from lora_trainer.training.validation import STRATA, image_losses, image_timesteps, relative

SIZE = (4, 16, 16)


@pytest.fixture(scope="module")
def schedule() -> NoiseSchedule:
    return noise_schedule({"linear_start": 0.00085, "linear_end": 0.012, "timesteps": 1000})


def moments_of(size: tuple[int, int, int] = SIZE) -> torch.Tensor:
    mean = torch.randn(size, generator=torch.Generator().manual_seed(1))
    return torch.cat([mean, torch.full_like(mean, 0.5)])


def recorded(number: int, schedule: NoiseSchedule, moments: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The losses of a model that says 0, and all inputs that it saw."""
    seen: list[torch.Tensor] = []

    def predict(noised: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        assert len(noised) == len(timesteps)
        seen.append(noised)
        return torch.zeros_like(noised)

    return image_losses(predict, moments, number, schedule), seen


def test_the_same_tuples_every_time_and_others_for_other_images(schedule: NoiseSchedule) -> None:
    first, seen = recorded(3, schedule, moments_of())
    torch.manual_seed(99)
    again, seen_again = recorded(3, schedule, moments_of())
    other, _ = recorded(4, schedule, moments_of())
    assert first.shape == (STRATA,)
    assert torch.equal(first, again)
    assert torch.equal(torch.cat(seen), torch.cat(seen_again))
    assert not torch.equal(first, other)


def test_the_loss_is_the_plain_squared_error_around_the_latents_mean(schedule: NoiseSchedule) -> None:
    found, seen = recorded(0, schedule, moments_of())
    alpha_bar = schedule.alphas_cumprod.float()[image_timesteps(0, 1000)].view(-1, 1, 1, 1)
    noise = (torch.cat(seen) - alpha_bar.sqrt() * moments_of()[:4]) / (1 - alpha_bar).sqrt()
    torch.testing.assert_close(found, noise.square().mean(dim=(1, 2, 3)), rtol=1e-3, atol=1e-4)
    assert found.mean() == pytest.approx(1, abs=0.05)  # white noise of unit strength


def test_large_images_go_through_in_parts_and_alike(schedule: NoiseSchedule, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, at_once = recorded(2, schedule, moments_of())
    monkeypatch.setattr("lora_trainer.training.validation.LATENTS_AT_ONCE", 3 * 16 * 16)
    parts, in_parts = recorded(2, schedule, moments_of())
    assert ([len(x) for x in at_once], [len(x) for x in in_parts]) == ([8], [3, 3, 2])
    torch.testing.assert_close(whole, parts)


def test_timesteps_are_one_of_each_stratum_and_differ_between_images() -> None:
    times = torch.stack([image_timesteps(number, 1000) for number in range(40)])
    assert torch.equal(times // 125, torch.arange(STRATA).expand(40, STRATA))
    within = (times[:, 0].double() / 125).sort().values
    assert float((within - (torch.arange(40) + 0.5) / 40).abs().max()) < 0.1
    assert image_timesteps(7, 20).tolist() == sorted(set(image_timesteps(7, 20).tolist()))


def test_relative_weights_every_stratum_alike_and_is_not_ruled_by_single_tuples() -> None:
    base = torch.tensor([[1.0, 0.01], [1.0, 0.03]])
    assert relative(base, base) == pytest.approx(1)
    assert relative(base * torch.tensor([1.0, 0.5]), base) == pytest.approx(0.75)
    unlucky = torch.tensor([[1.0, 1e-9], [1.0, 0.04]])
    learnt = torch.tensor([[0.8, 1e-3], [0.8, 0.03]])
    assert relative(learnt, unlucky) == pytest.approx((0.8 + 0.775) / 2)
