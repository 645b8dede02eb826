"""Held-out loss at fixed (image, noise, timestep) tuples, so that two epochs differ by the LoRA and by nothing else."""

from __future__ import annotations

import torch

from lora_trainer.checkpoint.noise import NoiseSchedule
from lora_trainer.settings import LossSettings
from lora_trainer.training.noise import gaussian, stream
from lora_trainer.training.objective import Draw, Predict, losses, make_objective
from lora_trainer.training.timesteps import WHOLE, golden_fraction

STRATA = 8  # timesteps per image, one from each eighth of the schedule
SEED = 20_23
LATENTS_AT_ONCE = 64 * 64 * 4  # latent pixels of one forward pass: four images of 512 x 512


@torch.no_grad()
def image_losses(predict: Predict, moments: torch.Tensor, number: int, schedule: NoiseSchedule) -> torch.Tensor:
    """(STRATA,) squared errors, unweighted, of one image with ``moments`` (2C, h, w: mean, deviation), on its device.

    ``number`` tells the image from others and alone decides its noise and timesteps; the latents are the mean. The
    settings of the training's own loss and noise do not matter here, so that runs can be compared. ``predict`` gets up
    to STRATA rows of this one image.
    """
    mean = moments.float().chunk(2)[0]
    noise = gaussian((STRATA, *mean.shape), [stream(SEED, number)], mean.device)[0]
    times = image_timesteps(number, schedule.steps).to(mean.device)
    plain = make_objective(schedule, LossSettings(), mean.device)
    at_once = max(1, min(STRATA, LATENTS_AT_ONCE // mean[0].numel()))
    parts = [
        losses(predict, Draw(mean.expand_as(n), n, t), plain)
        for n, t in zip(noise.split(at_once), times.split(at_once), strict=True)
    ]
    return torch.cat(parts)


def image_timesteps(number: int, steps: int) -> torch.Tensor:
    """(STRATA,) timesteps of image ``number``, one in each stratum, at another place of it for other images."""
    place = golden_fraction(number)
    return torch.tensor([(stratum * WHOLE + place) * steps // (STRATA * WHOLE) for stratum in range(STRATA)])


def relative(measured: torch.Tensor, base: torch.Tensor) -> float:
    """The share of the base model's error that is left: below 1 something was learnt. Both are losses (images,
    STRATA), of the same tuples row for row.

    In each stratum the mean loss over the images is divided by the base model's; the result is the mean of these
    ratios. One ratio over all would be ruled by the noise levels with the largest losses, where a LoRA changes least;
    a mean of the ratios of single tuples by the few where the base model has almost no loss to divide by.
    """
    return float((measured.mean(dim=0) / base.mean(dim=0)).mean())
