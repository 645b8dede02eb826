"""The noise schedule of a model and the objective that it defines (DDPM, arXiv 2006.11239; v: arXiv 2202.00512)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class NoiseSchedule:
    """``alphas_cumprod`` (T,) in float64 and what the U-Net predicts: ``epsilon`` or ``v_prediction``."""

    alphas_cumprod: torch.Tensor
    prediction_type: str = "epsilon"

    @property
    def steps(self) -> int:
        """Number of timesteps T."""
        return len(self.alphas_cumprod)

    def sigmas(self) -> torch.Tensor:
        """(T,) noise to signal ratios, in float64."""
        return ((1 - self.alphas_cumprod) / self.alphas_cumprod).sqrt()


def noise_schedule(params: Mapping[str, Any]) -> NoiseSchedule:
    """The schedule that an LDM config describes: ``scaled_linear`` betas from ``linear_start`` to ``linear_end``."""
    start, end, steps = (params[key] for key in ("linear_start", "linear_end", "timesteps"))
    betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
    kind = "v_prediction" if params.get("parameterization", "eps") == "v" else "epsilon"
    return NoiseSchedule((1 - betas).cumprod(0), kind)


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
