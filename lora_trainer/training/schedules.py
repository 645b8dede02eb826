"""Learning rate schedules: stateless functions of the step."""

from __future__ import annotations

import math

from lora_trainer.settings import OptimizerSettings


def lr_factor(step: int, steps: int, settings: OptimizerSettings) -> float:
    """Factor on the learning rate, of 0 ... 1, at ``step`` (from 0) of ``steps``.

    It rises linearly over the warm-up, whose first step already learns, and then follows ``lr_scheduler`` to the end.
    ``constant`` honours the warm-up too, and so equals ``constant_with_warmup``.
    """
    rising = warmup_steps(steps, settings)
    if step < rising:
        return (step + 1) / rising
    left = max(1, steps - rising)
    if settings.lr_scheduler == "warmup_stable_decay":
        falling = max(1, min(left, round(steps * settings.lr_decay)))
        return _floored(_half_cosine(min(1.0, max(0, step - (steps - falling)) / falling)), settings)
    return _after_warmup(min(1.0, (step - rising) / left), settings)


def warmup_steps(steps: int, settings: OptimizerSettings) -> int:
    """Number of steps of the warm-up: ``lr_warmup_steps``, or the share ``lr_warmup`` of ``steps`` where that is 0."""
    return settings.lr_warmup_steps or round(steps * settings.lr_warmup)


def _after_warmup(progress: float, settings: OptimizerSettings) -> float:
    """Factor at ``progress`` 0 ... 1 of what follows the warm-up."""
    left = 1 - progress
    match settings.lr_scheduler:
        case "constant" | "constant_with_warmup":
            return 1.0
        case "linear":
            return left
        case "cosine":  # arXiv 1608.03983
            return _half_cosine(progress)
        case "cosine_with_restarts":
            return _half_cosine(progress * settings.lr_scheduler_num_cycles % 1.0) if left else 0.0
        case "polynomial":
            return left**settings.lr_scheduler_power
        case "cosine_with_min_lr":
            return _floored(_half_cosine(progress), settings)
        case "rex":  # arXiv 2107.04197
            return _floored(left / (0.5 + 0.5 * left), settings)
        case unknown:
            raise ValueError(unknown)


def _half_cosine(progress: float) -> float:
    """From 1 to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def _floored(factor: float, settings: OptimizerSettings) -> float:
    """``factor`` with 0 ... 1 stretched over ``lr_scheduler_min_lr_ratio`` ... 1."""
    floor = settings.lr_scheduler_min_lr_ratio
    return floor + (1 - floor) * factor
