"""Held-out loss at fixed (image, noise, timestep) tuples, so that two epochs differ by the LoRA and by nothing else."""

from __future__ import annotations

import torch

from lora_trainer.dataset.encoding import EncodedSet, Example
from lora_trainer.training.learner import Model
from lora_trainer.training.objective import Draw, losses

STRATA = 8  # timesteps per image, one from the middle of each eighth of the schedule
SEED = 20_23
LATENTS_AT_ONCE = 64 * 64 * 4  # latent pixels of one forward pass: four images of 512 x 512


@torch.no_grad()
def mean_loss(model: Model, examples: list[Example], encoded: EncodedSet, numbers: list[int]) -> float:
    """Mean loss of the examples with these ``numbers`` in ``encoded``, over ``STRATA`` timesteps each, without noise
    offset."""
    found = [_image_losses(model, examples[i].item.caption, encoded, i) for i in numbers]
    return float(torch.cat(found).mean())


def _image_losses(model: Model, caption: str, encoded: EncodedSet, number: int) -> torch.Tensor:
    schedule, device = model.parts.noise, model.precision.device
    moments = encoded.latents(number).to(device)
    mean = moments.chunk(2)[0]
    generator = torch.Generator().manual_seed(SEED + number)
    noise = torch.randn((STRATA, *mean.shape), generator=generator).to(mean)
    times = ((torch.arange(STRATA) + 0.5) * schedule.steps / STRATA).long().to(device)
    context = model.context([caption]) if model.reads_text else encoded.text(caption)[None].to(device)
    at_once = max(1, min(STRATA, LATENTS_AT_ONCE // mean[0].numel()))
    parts = [
        losses(
            model.predict,
            Draw(mean.expand(len(n), *mean.shape), n, t),
            context.expand(len(n), -1, -1),
            schedule,
        )
        for n, t in zip(noise.split(at_once), times.split(at_once), strict=True)
    ]
    return torch.cat(parts)
