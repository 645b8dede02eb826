"""How much an error counts at each noise level: tables (T,) over all timesteps of a schedule, made once."""

from __future__ import annotations

import torch

from lora_trainer.checkpoint.noise import NoiseSchedule
from lora_trainer.settings import LossSettings

# Weights that divide by the signal to noise ratio take it within these limits: the upper one is kohya's; the lower one,
# below all of Stable Diffusion's ordinary schedule, keeps them finite where a schedule ends without any signal.
LOWEST_SNR, HIGHEST_SNR = 1e-3, 1e3


def signal_to_noise(schedule: NoiseSchedule) -> torch.Tensor:
    """(T,) ratios ᾱ / (1 - ᾱ) of the signal's to the noise's power; 0 where nothing is left of the image."""
    return schedule.alphas_cumprod / (1 - schedule.alphas_cumprod)


def timestep_weights(schedule: NoiseSchedule, settings: LossSettings) -> torch.Tensor:
    """(T,) factors on the loss in fp32, finite for any schedule: the product of all weights that are switched on.

    ``v_pred_like_loss`` is of models that predict noise and leaves others alone.
    """
    snr = signal_to_noise(schedule)
    predicts_v = schedule.prediction_type == "v_prediction"
    weights = torch.ones_like(snr)
    if settings.min_snr_gamma:
        weights = weights * min_snr(snr, settings.min_snr_gamma, predicts_v)
    if settings.v_pred_like_loss and not predicts_v:
        weights = weights * v_prediction_like(snr, settings.v_pred_like_loss)
    if settings.debiased_estimation_loss:
        weights = weights * debiased(snr, predicts_v)
    return weights.float()


def min_snr(snr: torch.Tensor, gamma: float, predicts_v: bool) -> torch.Tensor:
    """Min-SNR-γ (arXiv 2303.09556): min(SNR, γ) / SNR on the error of noise, min(SNR, γ) / (SNR + 1) on that of v."""
    if predicts_v:
        return snr.clamp(max=gamma) / (snr + 1)
    return gamma / snr.clamp(min=gamma)  # the same fraction, without 0 / 0


def debiased(snr: torch.Tensor, predicts_v: bool) -> torch.Tensor:
    """Debiased estimation (arXiv 2310.08442): 1 / sqrt(SNR) on the error of noise, and kohya's 1 / (SNR + 1) on v's."""
    snr = snr.clamp(LOWEST_SNR, HIGHEST_SNR)
    return 1 / (snr + 1) if predicts_v else snr.rsqrt()


def v_prediction_like(snr: torch.Tensor, strength: float) -> torch.Tensor:
    """1 + ``strength`` · (SNR + 1) / SNR: the error of noise, and beside it as it would count as one of v (kohya's
    ``v_pred_like_loss``)."""
    snr = snr.clamp(LOWEST_SNR, HIGHEST_SNR)
    return 1 + strength * (snr + 1) / snr


def huber_thresholds(schedule: NoiseSchedule, settings: LossSettings) -> torch.Tensor:
    """(T,) errors in fp32 beyond which ``huber`` and ``smooth_l1`` punish them less (arXiv 2403.16728; as kohya's
    ``huber_schedule``).

    ``constant``: c; ``exponential``: from 1 at no noise to c at the end; ``snr``: from 1 to c as (1 + σ)^-2 falls.
    ``huber_scale`` counts for the first two.
    """
    c, scale = settings.huber_c, settings.huber_scale
    match settings.huber_schedule:
        case "constant":
            thresholds = torch.full((schedule.steps,), c * scale)
        case "exponential":
            thresholds = scale * c ** (torch.arange(schedule.steps, dtype=torch.float64) / schedule.steps)
        case "snr":
            thresholds = (1 - c) / (1 + schedule.sigmas()) ** 2 + c
        case unknown:
            raise ValueError(unknown)
    return thresholds.float()
