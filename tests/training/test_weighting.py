"""Weights and thresholds per timestep, against the published formulas on diffusers' schedule."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDPMScheduler

from lora_trainer.checkpoint.noise import NoiseSchedule
from lora_trainer.settings import LossSettings
from lora_trainer.training.weighting import huber_thresholds, signal_to_noise, timestep_weights

ALL_ON = LossSettings(min_snr_gamma=5.0, debiased_estimation_loss=True, v_pred_like_loss=0.5)
TIMES = torch.arange(1000)


def of_diffusers(*, zero_terminal: bool = False) -> DDPMScheduler:
    return DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", rescale_betas_zero_snr=zero_terminal
    )


def schedule_of(kind: str = "epsilon", *, zero_terminal: bool = False) -> NoiseSchedule:
    alphas_cumprod = of_diffusers(zero_terminal=zero_terminal).alphas_cumprod.double()
    if zero_terminal:
        alphas_cumprod[-1] = 0.0  # diffusers keeps a little there, for its samplers
    return NoiseSchedule(alphas_cumprod, kind)


@pytest.fixture(scope="module")
def snr() -> torch.Tensor:
    alphas_cumprod = of_diffusers().alphas_cumprod.double()
    return (alphas_cumprod.sqrt() / (1 - alphas_cumprod).sqrt()) ** 2


def check(kind: str, settings: LossSettings, expected: torch.Tensor) -> None:
    torch.testing.assert_close(timestep_weights(schedule_of(kind), settings), expected.float(), rtol=1e-4, atol=0)


def test_signal_to_noise(snr: torch.Tensor) -> None:
    torch.testing.assert_close(signal_to_noise(schedule_of()), snr, rtol=1e-4, atol=0)


def test_without_weights_all_timesteps_count_alike() -> None:
    for kind in ("epsilon", "v_prediction"):
        check(kind, LossSettings(), torch.ones(1000))


def test_min_snr(snr: torch.Tensor) -> None:
    settings = LossSettings(min_snr_gamma=5.0)
    least = torch.minimum(snr, torch.full_like(snr, 5.0))
    check("epsilon", settings, least / snr)
    check("v_prediction", settings, least / (snr + 1))


def test_debiased_estimation(snr: torch.Tensor) -> None:
    settings = LossSettings(debiased_estimation_loss=True)
    capped = snr.clamp(max=1000)
    assert float(snr.max()) > 1000
    check("epsilon", settings, 1 / capped.sqrt())
    check("v_prediction", settings, 1 / (capped + 1))


def test_v_prediction_like_loss(snr: torch.Tensor) -> None:
    """Kohya adds the loss divided by SNR / (SNR + 1), the factor between the errors of v and of noise."""
    scale = snr.clamp(max=1000) / (snr.clamp(max=1000) + 1)
    check("epsilon", LossSettings(v_pred_like_loss=0.5), 1 + 0.5 / scale)
    check("v_prediction", LossSettings(v_pred_like_loss=0.5), torch.ones(1000))


def test_weights_multiply() -> None:
    parts = [
        LossSettings(min_snr_gamma=5.0),
        LossSettings(debiased_estimation_loss=True),
        LossSettings(v_pred_like_loss=0.5),
    ]
    expected = torch.stack([timestep_weights(schedule_of(), part) for part in parts]).prod(dim=0)
    check("epsilon", ALL_ON, expected)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_weights_are_finite_without_any_signal_at_the_end_or_any_noise_at_the_start(kind: str) -> None:
    schedule = schedule_of(kind, zero_terminal=True)
    ends = NoiseSchedule(torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64), kind)
    for settings in (
        ALL_ON,
        LossSettings(min_snr_gamma=5.0),
        LossSettings(debiased_estimation_loss=True),
        LossSettings(v_pred_like_loss=1.0),
    ):
        for weights in (timestep_weights(schedule, settings), timestep_weights(ends, settings)):
            assert torch.isfinite(weights).all()
            assert (weights >= 0).all()
    for huber in ("constant", "exponential", "snr"):
        assert torch.isfinite(huber_thresholds(schedule, LossSettings(huber_schedule=huber))).all()
    minimum = timestep_weights(schedule, LossSettings(min_snr_gamma=5.0))
    assert float(minimum[-1]) == (1.0 if kind == "epsilon" else 0.0)


def test_huber_thresholds() -> None:
    """arXiv 2403.16728, with kohya's scale."""
    constant = huber_thresholds(schedule_of(), LossSettings(huber_schedule="constant", huber_c=0.2, huber_scale=3.0))
    torch.testing.assert_close(constant, torch.full((1000,), 0.6))
    exponential = huber_thresholds(
        schedule_of(), LossSettings(huber_schedule="exponential", huber_c=0.2, huber_scale=3.0)
    )
    rate = -math.log(0.2) / 1000
    torch.testing.assert_close(exponential, 3 * torch.exp(-rate * TIMES))
    snr = huber_thresholds(schedule_of(), LossSettings(huber_schedule="snr", huber_c=0.2, huber_scale=3.0))
    alphas_cumprod = of_diffusers().alphas_cumprod
    sigmas = ((1 - alphas_cumprod) / alphas_cumprod) ** 0.5
    torch.testing.assert_close(snr, 0.8 / (1 + sigmas) ** 2 + 0.2, rtol=1e-4, atol=0)
