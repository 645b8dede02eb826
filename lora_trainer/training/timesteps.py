"""Which noise level each image meets: a pure function of the seed and of the image's number in the run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

from lora_trainer.errors import BadSettings
from lora_trainer.settings import LossSettings

WHOLE = 2**64  # fractions are counted in parts of this: exact, however long the run
GOLDEN = 0x9E3779B97F4A7C15  # the golden ratio's fraction in such parts


def timestep_range(settings: LossSettings, steps: int) -> range:
    """The timesteps that are learnt, of a schedule with ``steps``. Raises ``BadSettings`` when there are none."""
    found = range(settings.min_timestep, min(settings.max_timestep, steps))
    if not found:
        raise BadSettings("timestep_range", field="min_timestep", low=found.start, high=found.stop)
    return found


def timesteps(numbers: Sequence[int], seed: int, settings: LossSettings, steps: int) -> torch.Tensor:
    """(B,) timesteps, on the CPU, of the images with these ``numbers`` in the run; every one in the range is as likely.

    ``uniform`` draws each by itself. ``stratified`` walks the range in strides of the golden ratio from a random start
    (an additive recurrence): any images in a row, and so both a batch and successive batches, are spread evenly over
    it, which takes most of the timestep's variance out of the loss. The reason is that of the low-discrepancy
    timesteps of arXiv 2107.00630, which cover one batch.
    """
    learnt = timestep_range(settings, steps)
    if settings.timestep_sampling == "uniform":
        fractions = [_hashed(seed, number) for number in numbers]
    else:
        start = _hashed(seed)
        fractions = [(start + golden_fraction(number)) % WHOLE for number in numbers]
    return torch.tensor([learnt[fraction * len(learnt) // WHOLE] for fraction in fractions])


def golden_fraction(number: int) -> int:
    """Place ``number`` of the additive recurrence, in parts of ``WHOLE``."""
    return number * GOLDEN % WHOLE


def _hashed(*numbers: int) -> int:
    """A random fraction of their own for every combination, in parts of ``WHOLE``."""
    digest = hashlib.sha256(f"timestep {numbers}".encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big")
