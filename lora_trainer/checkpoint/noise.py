"""The noise schedule of a model and the objective that it defines (DDPM, arXiv 2006.11239; v: arXiv 2202.00512)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

SCALED_LINEAR = {"linear_start": 0.00085, "linear_end": 0.012, "timesteps": 1000}
LEAST = 4.8973451890853435e-08  # the WebUI's alpha-bar of pure noise, where no sigma is infinite


@dataclass(frozen=True)
class NoiseSchedule:
    """``alphas_cumprod`` (T,) in float64 and what the U-Net predicts: ``epsilon`` or ``v_prediction``."""

    alphas_cumprod: torch.Tensor
    prediction_type: str = "epsilon"

    @property
    def steps(self) -> int:
        """Number of timesteps T."""
        return len(self.alphas_cumprod)

    @property
    def zero_terminal_snr(self) -> bool:
        """Whether nothing of the image is left at the last timestep."""
        return float(self.alphas_cumprod[-1]) == 0

    def sigmas(self) -> torch.Tensor:
        """(T,) noise to signal ratios, in float64; pure noise counts as the WebUI's largest finite one."""
        alpha_bar = self.alphas_cumprod.clamp(min=LEAST)
        return ((1 - alpha_bar) / alpha_bar).sqrt()


def noise_schedule(
    params: Mapping[str, Any], prediction_type: str = "epsilon", zero_terminal_snr: bool = False
) -> NoiseSchedule:
    """The schedule that an LDM config describes: ``scaled_linear`` betas from ``linear_start`` to ``linear_end``, SD's
    where it does not say."""
    start, end, steps = (params.get(name, value) for name, value in SCALED_LINEAR.items())
    betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
    alpha_bar = (1 - betas).cumprod(0)
    return NoiseSchedule(without_terminal_signal(alpha_bar) if zero_terminal_snr else alpha_bar, prediction_type)


def without_terminal_signal(alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """The schedule (T,) moved and stretched so that it ends at 0 and begins where it did (arXiv 2305.08891,
    Algorithm 1)."""
    signal = alphas_cumprod.sqrt()
    first, last = signal[0], signal[-1]
    return ((signal - last) * first / (first - last)) ** 2


def add_noise(latents: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """x_t = sqrt(ᾱ) x_0 + sqrt(1 - ᾱ) ε; latents and noise (B, C, H, W), ``alpha_bar`` (B,)."""
    a = alpha_bar.view(-1, 1, 1, 1)
    return a.sqrt() * latents + (1 - a).sqrt() * noise


def target(latents: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor, prediction_type: str) -> torch.Tensor:
    """What the U-Net should predict: ε, or v = sqrt(ᾱ) ε - sqrt(1 - ᾱ) x_0."""
    if prediction_type == "epsilon":
        return noise
    a = alpha_bar.view(-1, 1, 1, 1)
    return a.sqrt() * noise - (1 - a).sqrt() * latents
