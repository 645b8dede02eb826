"""The maths of training, against published formulas."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from diffusers import DDPMScheduler

from lora_trainer.checkpoint.noise import NoiseSchedule, add_noise, noise_schedule, target
from lora_trainer.training.objective import Draw, draw, losses
from lora_trainer.training.schedules import lr_factor

PARAMS = {"linear_start": 0.00085, "linear_end": 0.012, "timesteps": 1000}


@pytest.fixture(scope="module")
def schedule() -> NoiseSchedule:
    return noise_schedule(PARAMS)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_noise_and_target_are_those_of_diffusers(schedule: NoiseSchedule, kind: str) -> None:
    reference = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=kind)
    latents, noise, t = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8), torch.tensor([0, 400, 999])
    alpha_bar = schedule.alphas_cumprod[t].float()
    torch.testing.assert_close(
        add_noise(latents, noise, alpha_bar), reference.add_noise(latents, noise, t), rtol=1e-4, atol=1e-4
    )
    wanted = noise if kind == "epsilon" else reference.get_velocity(latents, noise, t)
    torch.testing.assert_close(target(latents, noise, alpha_bar, kind), wanted, rtol=1e-4, atol=1e-4)


def test_a_perfect_prediction_has_no_loss(schedule: NoiseSchedule) -> None:
    drawn = draw(
        torch.cat([torch.randn(2, 4, 8, 8), torch.full((2, 4, 8, 8), 0.1)], dim=1),
        1000,
        0.0,
        torch.Generator().manual_seed(1),
    )
    perfect = losses(lambda x, t, c: drawn.noise, drawn, torch.zeros(2, 77, 8), schedule)
    none = losses(lambda x, t, c: torch.zeros_like(x), drawn, torch.zeros(2, 77, 8), schedule)
    assert perfect.tolist() == [0, 0]
    torch.testing.assert_close(none, drawn.noise.square().mean(dim=(1, 2, 3)))


def test_latents_are_drawn_from_their_posterior() -> None:
    mean, deviation = torch.full((1, 4, 64, 64), 3.0), torch.full((1, 4, 64, 64), 0.5)
    drawn: Draw = draw(torch.cat([mean, deviation], dim=1), 1000, 0.0, torch.Generator().manual_seed(1))
    assert float(drawn.latents.mean()) == pytest.approx(3.0, abs=0.02)
    assert float(drawn.latents.std()) == pytest.approx(0.5, abs=0.02)


def test_noise_offset_shifts_whole_channels() -> None:
    moments = torch.zeros(500, 8, 16, 16)
    plain, shifted = (draw(moments, 1000, offset, torch.Generator().manual_seed(1)).noise for offset in (0.0, 0.3))
    means = shifted.mean(dim=(2, 3))
    assert float(plain.mean(dim=(2, 3)).std()) == pytest.approx(1 / 16, rel=0.1)
    assert float(means.std()) == pytest.approx(math.sqrt(1 / 256 + 0.09), rel=0.1)


def test_learning_rate_schedules() -> None:
    cosine = [lr_factor(step, 100, "cosine", 0.1) for step in range(100)]
    assert cosine[:10] == pytest.approx([0.1 * i for i in range(1, 11)])
    assert cosine[10] == 1.0
    assert cosine[55] == pytest.approx(0.5)
    assert cosine[-1] < 0.001
    assert all(a >= b for a, b in pairwise(cosine[10:]))
    assert {lr_factor(step, 100, "constant", 0.0) for step in range(100)} == {1.0}
