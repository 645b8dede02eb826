"""The objective (arXiv 2006.11239): hide latents in noise, have the model predict what hides them, and count its
error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lora_trainer.checkpoint.noise import NoiseSchedule, add_noise, target
from lora_trainer.settings import LossSettings
from lora_trainer.training.noise import gaussian, input_disturbance, send, stream, training_noise
from lora_trainer.training.timesteps import timesteps
from lora_trainer.training.weighting import huber_thresholds, timestep_weights

# (x_t (B, C, h, w), t (B,)) -> prediction (B, C, h, w); what else the model is told is bound to it.
Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Draw:
    """The random part of one batch in fp32: clean latents and noise (B, C, h, w), timesteps (B,), and what the input's
    noise has beyond the target's (B, C, h, w)."""

    latents: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    disturbance: torch.Tensor | None = None


@dataclass(frozen=True)
class Objective:
    """What counts as an error: tables (T,) over the timesteps, on the device that trains."""

    prediction_type: str
    loss_type: str
    alphas_cumprod: torch.Tensor
    weights: torch.Tensor
    thresholds: torch.Tensor


def make_objective(schedule: NoiseSchedule, settings: LossSettings, device: torch.device) -> Objective:
    """The objective of a model with this schedule; the default settings make the plain one of the paper."""
    return Objective(
        prediction_type=schedule.prediction_type,
        loss_type=settings.loss_type,
        alphas_cumprod=schedule.alphas_cumprod.float().to(device),
        weights=timestep_weights(schedule, settings).to(device),
        thresholds=huber_thresholds(schedule, settings).to(device),
    )


def draw(moments: torch.Tensor, numbers: Sequence[int], seed: int, settings: LossSettings, steps: int) -> Draw:
    """Draw latents from ``moments`` (B, 2C, h, w: mean, deviation), noise, and timesteps of 0 ... ``steps`` - 1.

    ``numbers`` are those of the images in the run: no two images of a run may share one, and images in a row should
    have numbers in a row. Nothing else decides what is drawn.
    """
    mean, deviation = moments.float().chunk(2, dim=1)
    streams = [stream(seed, number) for number in numbers]
    latents = mean + deviation * gaussian(mean.shape[1:], streams, mean.device)
    noise = training_noise(latents, streams, settings)
    times = send(timesteps(numbers, seed, settings, steps), mean.device)
    return Draw(latents, noise, times, input_disturbance(latents, streams, settings))


def losses(
    predict: Predict,
    drawn: Draw,
    objective: Objective,
    mask: torch.Tensor | None = None,
    factors: torch.Tensor | None = None,
) -> torch.Tensor:
    """(B,) losses in fp32: the mean error of each image, over its ``mask`` (B, 1, h, w) where there is one, times the
    weight of its timestep and its own of ``factors`` (B,)."""
    alpha_bar = objective.alphas_cumprod[drawn.timesteps]
    hidden_in = drawn.noise if drawn.disturbance is None else drawn.noise + drawn.disturbance
    noised = add_noise(drawn.latents, hidden_in, alpha_bar)
    wanted = target(drawn.latents, drawn.noise, alpha_bar, objective.prediction_type)
    predicted = predict(noised, drawn.timesteps)

    thresholds = objective.thresholds[drawn.timesteps].view(-1, 1, 1, 1)
    loss = mean_error(error(predicted.float() - wanted, objective.loss_type, thresholds), mask)
    loss = loss * objective.weights[drawn.timesteps]
    return loss if factors is None else loss * factors


def error(difference: torch.Tensor, loss_type: str, threshold: torch.Tensor) -> torch.Tensor:
    """The error that a ``difference`` counts as, elementwise, in kohya's scales.

    With threshold c, which broadcasts to the difference d, ``huber`` is 2c (sqrt(d² + c²) - c): d² where d is small,
    2c |d| where it is large. ``smooth_l1`` is the same divided by c.
    """
    match loss_type:
        case "l2":
            return difference.square()
        case "l1":
            return difference.abs()
        case "huber" | "smooth_l1":
            square = difference.square()
            bent = 2 * square / ((square + threshold.square()).sqrt() + threshold)  # small d would be lost in sqrt - c
            return threshold * bent if loss_type == "huber" else bent
        case unknown:
            raise ValueError(unknown)


def mean_error(errors: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """(B,) means of ``errors`` (B, C, h, w), weighted by ``mask`` (B, 1, h, w; 0 ... 1).

    An image counts alike however small its mask; but less than one latent pixel counts as one, so that an empty mask
    gives 0.
    """
    if mask is None:
        return errors.mean(dim=(1, 2, 3))
    area = mask.sum(dim=(1, 2, 3)).clamp(min=1)
    return (errors * mask).sum(dim=(1, 2, 3)) / (area * errors.shape[1])
