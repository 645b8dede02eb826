"""Drawing pictures with adopted modules: Euler's method on the WebUI's noise levels, so that the same seed gives the
same picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler
from PIL import Image

from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.checkpoint.encoders import decode
from lora_trainer.checkpoint.noise import NoiseSchedule
from lora_trainer.checkpoint.precision import Precision
from lora_trainer.checkpoint.text import Text, encode_text
from lora_trainer.checkpoint.unet import predict
from lora_trainer.settings import CaptionSettings

LONGEST = 225  # tokens of a prompt that are read


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One picture to draw: raw texts without prompt syntax, sizes in pixels."""

    prompt: str
    negative_prompt: str = ""
    seed: int = 1
    steps: int = 20
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    clip_skip: int = 1


def noise_levels(schedule: NoiseSchedule, steps: int) -> torch.Tensor:
    """(steps,) sigmas from most to least noise, evenly spaced in timesteps and interpolated in their logarithm
    (k-diffusion)."""
    logs = schedule.sigmas().log().numpy()
    times = np.linspace(schedule.steps - 1, 0, steps)
    return torch.from_numpy(np.exp(np.interp(times, np.arange(schedule.steps), logs)))


def starting_noise(drawing: Drawing, channels: int, factor: int) -> torch.Tensor:
    """(1, C, H / factor, W / factor) noise of the drawing's seed, from the CPU's generator as the WebUI's RNG source
    "CPU"."""
    generator = torch.Generator().manual_seed(drawing.seed)
    return torch.randn((1, channels, drawing.height // factor, drawing.width // factor), generator=generator)


@torch.no_grad()
def draw_latents(parts: Parts, drawing: Drawing, precision: Precision) -> torch.Tensor:
    """(1, C, h, w) scaled latents of a picture, in fp32; the U-Net works in ``precision``."""
    device = precision.device
    scheduler = _euler(parts.noise)
    scheduler.set_timesteps(sigmas=[*noise_levels(parts.noise, drawing.steps).tolist(), 0.0], device=device)
    factor = 2 ** (len(parts.vae.config.block_out_channels) - 1)
    x = starting_noise(drawing, parts.unet.config.in_channels, factor).to(device) * scheduler.sigmas[0].to(device)
    text = conditions(parts, drawing).to(device)
    size = (drawing.height, drawing.width)
    sizes = torch.tensor([[*size, 0, 0, *size]] * 2, dtype=torch.float32, device=device)
    with precision.autocast():
        for t in scheduler.timesteps:
            scaled = scheduler.scale_model_input(x, t)
            both = predict(parts, torch.cat([scaled, scaled]), t.expand(2), text, sizes)
            negative, positive = both.float().chunk(2)
            guided = negative + drawing.cfg_scale * (positive - negative)
            x = scheduler.step(guided, t, x).prev_sample
    return x


def conditions(parts: Parts, drawing: Drawing) -> Text:
    """What the U-Net is told: the negative prompt, then the prompt. Where the WebUI shows zeros in place of an empty
    negative prompt (SDXL), so do we."""
    settings = CaptionSettings(clip_skip=drawing.clip_skip, max_token_length=LONGEST)
    negative, positive = (encode_text(parts, [text], settings)[0] for text in (drawing.negative_prompt, drawing.prompt))
    if parts.family.zero_negative and not drawing.negative_prompt:
        pooled = None if negative.pooled is None else torch.zeros_like(negative.pooled)
        negative = Text(torch.zeros_like(negative.hidden), pooled)
    return Text.stack([negative, positive])


def _euler(schedule: NoiseSchedule) -> EulerDiscreteScheduler:
    alpha_bar = 1 / (1 + schedule.sigmas() ** 2)
    before = torch.cat([torch.ones(1, dtype=alpha_bar.dtype), alpha_bar[:-1]])
    return EulerDiscreteScheduler(
        trained_betas=(1 - alpha_bar / before).numpy(), prediction_type=schedule.prediction_type
    )


def draw_picture(parts: Parts, drawing: Drawing, precision: Precision) -> Image.Image:
    """The picture, 8 bits a channel."""
    pixels = decode(parts, draw_latents(parts, drawing, precision))[0]
    return Image.fromarray((pixels.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8))
