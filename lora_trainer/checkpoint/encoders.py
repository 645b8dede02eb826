"""What a model's own encoders make of images and captions, ready for the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.checkpoint.text import Text, encode_text
from lora_trainer.settings import CaptionSettings


def decode(parts: Parts, latents: torch.Tensor) -> torch.Tensor:
    """(B, 3, 8h, 8w) pictures in 0 ... 1 of scaled latents (B, 4, h, w); the VAE runs in its own number format."""
    weight = next(parts.vae.parameters())
    with torch.no_grad():
        pictures = parts.vae.decode((latents / parts.scale_factor).to(weight.device, weight.dtype)).sample
    return (pictures.float() / 2 + 0.5).clamp(0, 1)


class Encoders:
    """The VAE's encoder and the text encoders as the cache wants them; ``model_key`` changes with their weights and
    with how ``captions`` says that texts are read."""

    def __init__(self, parts: Parts, captions: CaptionSettings | None = None) -> None:
        self.parts, self.captions = parts, captions or CaptionSettings()
        read = self.captions.weighted_captions, self.captions.max_token_length, self.captions.clip_skip
        weights = [f"{fingerprint(m)}-{next(m.parameters()).dtype}" for m in parts.modules if m is not parts.unet]
        self.model_key = "-".join(map(str, (*weights, parts.scale_factor, *read)))

    @torch.no_grad()
    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Posterior mean and deviation (B, 8, h, w), scaled, in fp32, of pixels (B, 3, H, W) in -1 ... 1."""
        weight = next(self.parts.vae.parameters())
        posterior = self.parts.vae.encode(pixels.to(weight.device, weight.dtype)).latent_dist
        return torch.cat([posterior.mean, posterior.std], dim=1).float() * self.parts.scale_factor

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> Text:
        """The captions as a batch, in fp32."""
        return encode_text(self.parts, captions, self.captions)


def fingerprint(module: torch.nn.Module) -> str:
    """A short hash over some thousand numbers of every weight: enough to tell two models apart, and it copies next to
    nothing."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if tensor.is_floating_point() and tensor.numel():
            sample = tensor.detach().flatten()[:: max(1, tensor.numel() // 4096)].float().cpu()
            digest.update(name.encode() + sample.numpy().tobytes())
    return digest.hexdigest()[:16]
