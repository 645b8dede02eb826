"""The noise of training, image by image.

What is drawn for an image depends on the seed and on the image's number in the run alone. So a run goes on after a
stop as if there had been none, and neither the batch size nor the number of processes changes what an image meets. All
is drawn on the CPU, so that a seed means the same on every device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch.nn.functional import interpolate

from lora_trainer.settings import LossSettings

Streams = Sequence[torch.Generator]  # one stream of random numbers per image


def stream(seed: int, number: int) -> torch.Generator:
    """The random numbers of image ``number`` of the run. Hashed, since generators of near seeds start alike."""
    digest = hashlib.sha256(f"{seed} {number}".encode("ascii")).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A CPU tensor on ``device``, without waiting for what the device is still doing."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def gaussian(shape: Sequence[int], streams: Streams, device: torch.device) -> torch.Tensor:
    """(B, *shape) standard normal numbers, one row from each stream."""
    return send(torch.stack([torch.randn(*shape, generator=generator) for generator in streams]), device)


def training_noise(latents: torch.Tensor, streams: Streams, settings: LossSettings) -> torch.Tensor:
    """The noise (B, C, h, w) that ``latents`` of that shape are hidden in: white noise, and what the settings add.

    The offset comes first and multi-resolution noise, which brings all to unit strength, after it, as in kohya's
    scripts.
    """
    shape, device = latents.shape[1:], latents.device
    noise = gaussian(shape, streams, device)
    if settings.noise_offset or settings.adaptive_noise_scale:
        noise = noise + offset_strength(latents, streams, settings) * gaussian((shape[0], 1, 1), streams, device)
    if settings.multires_noise_iterations:
        coarse = torch.stack([coarse_noise(shape, generator, settings) for generator in streams])
        noise = noise + send(coarse, device)
        noise = noise / noise.std(dim=(1, 2, 3), keepdim=True)
    return noise


def offset_strength(latents: torch.Tensor, streams: Streams, settings: LossSettings) -> torch.Tensor:
    """(B, C or 1, 1, 1) strength of the noise common to a channel (noise offset, crosslabs.org/blog/diffusion-with-
    offset-noise).

    ``adaptive_noise_scale`` adds its share of the absolute mean of the channel's latents (B, C, h, w); below 0 there
    is none.
    """
    strength = _strength(settings.noise_offset, settings.noise_offset_random_strength, streams, latents.device)
    if settings.adaptive_noise_scale:
        brightness = latents.mean(dim=(2, 3), keepdim=True).abs()
        strength = (strength + settings.adaptive_noise_scale * brightness).clamp(min=0)
    return strength


def coarse_noise(shape: Sequence[int], generator: torch.Generator, settings: LossSettings) -> torch.Tensor:
    """(C, h, w) sum of noise at ``multires_noise_iterations`` resolutions, enlarged to ``shape`` (multi-resolution
    noise; kohya's ``multires_noise_iterations`` and ``multires_noise_discount``).

    Level i is smaller than the image by r^i, r drawn from 2 ... 4, and weaker by discount^i; level 0 is white, and one
    pixel is the last.
    """
    channels, *size = shape
    total = torch.zeros(1, *shape)
    for level in range(settings.multires_noise_iterations):
        shrinking = (2 + 2 * float(torch.rand((), generator=generator))) ** level
        small = [max(1, int(length / shrinking)) for length in size]
        noise = torch.randn(1, channels, *small, generator=generator)
        enlarged = interpolate(noise, size=size, mode="bilinear", align_corners=False)
        total += settings.multires_noise_discount**level * enlarged
        if 1 in small:
            break
    return total[0]


def input_disturbance(latents: torch.Tensor, streams: Streams, settings: LossSettings) -> torch.Tensor | None:
    """(B, C, h, w) noise that the input gets and the target does not (input perturbation, arXiv 2301.11706), or
    None."""
    if not settings.ip_noise_gamma:
        return None
    gamma = _strength(settings.ip_noise_gamma, settings.ip_noise_gamma_random_strength, streams, latents.device)
    return gamma * gaussian(latents.shape[1:], streams, latents.device)


def _strength(most: float, random: bool, streams: Streams, device: torch.device) -> torch.Tensor:
    """(B, 1, 1, 1) strengths: ``most``, or for every image another one up to it."""
    if not random:
        return torch.full((1, 1, 1, 1), most, device=device).expand(len(streams), 1, 1, 1)
    return send(most * torch.stack([torch.rand(1, 1, 1, generator=generator) for generator in streams]), device)
