"""One call of the U-Net, alike for all families."""

from __future__ import annotations

import torch

from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.checkpoint.text import Text


def predict(
    parts: Parts, noised: torch.Tensor, timesteps: torch.Tensor, text: Text, sizes: torch.Tensor | None
) -> torch.Tensor:
    """What the U-Net makes of ``noised`` (B, C, h, w) at ``timesteps`` (B,): noise or v, (B, C, h, w).

    ``sizes`` (B, 6) are in pixels: original height and width, crop from the top and from the left, target height and
    width (SDXL, arXiv 2307.01952); a family that is not ``sized`` takes no notice of them. Raises ``ValueError`` when
    a family that needs them gets none.
    """
    if not parts.family.sized:
        return parts.unet(noised, timesteps, encoder_hidden_states=text.hidden).sample
    if sizes is None or text.pooled is None:
        raise ValueError(f"{parts.family.name} has to be told sizes and a pooled text")
    added = {"text_embeds": text.pooled, "time_ids": sizes.to(noised.device, text.pooled.dtype)}
    return parts.unet(noised, timesteps, encoder_hidden_states=text.hidden, added_cond_kwargs=added).sample
