"""The loss: mean squared error of the noise prediction (arXiv 2006.11239), on latents drawn anew from their
posterior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from lora_trainer.checkpoint.noise import NoiseSchedule, add_noise, target

Predict = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]  # (x_t, t, context) -> prediction


@dataclass(frozen=True)
class Draw:
    """The random part of one batch: clean latents and noise (B, C, h, w), timesteps (B,)."""

    latents: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor


def draw(moments: torch.Tensor, steps: int, noise_offset: float, generator: torch.Generator) -> Draw:
    """Draw latents from ``moments`` (B, 2C, h, w: mean, deviation), noise, and uniform timesteps of 0 ... ``steps`` -
    1.

    All is drawn on the CPU, so that a seed means the same on every device. Noise offset: a constant per channel is
    added.
    """
    mean, deviation = moments.chunk(2, dim=1)
    latents = mean + deviation * torch.randn(mean.shape, generator=generator).to(mean)
    noise = torch.randn(mean.shape, generator=generator)
    if noise_offset:
        noise = noise + noise_offset * torch.randn((*mean.shape[:2], 1, 1), generator=generator)
    timesteps = torch.randint(0, steps, (len(mean),), generator=generator)
    return Draw(latents, noise.to(mean), timesteps.to(mean.device))


def losses(predict: Predict, drawn: Draw, context: torch.Tensor, schedule: NoiseSchedule) -> torch.Tensor:
    """(B,) mean squared errors in fp32; ``context`` (B, T, D)."""
    alpha_bar = schedule.alphas_cumprod.to(drawn.latents.device)[drawn.timesteps].to(drawn.latents.dtype)
    noised = add_noise(drawn.latents, drawn.noise, alpha_bar)
    wanted = target(drawn.latents, drawn.noise, alpha_bar, schedule.prediction_type)
    predicted = predict(noised, drawn.timesteps, context)
    return (predicted.float() - wanted.float()).square().mean(dim=(1, 2, 3))
