"""The three networks of the Sprites checkpoint, at their sizes, and what their training shares."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

TEXT_WIDTH = 40
WIDTH = 64  # of every level of the U-Net and of the VAE: GroupNorm(32) needs two channels a group to keep colour


def make_text_encoder() -> CLIPTextModel:
    """A CLIP text encoder of 2 layers over the whole CLIP vocabulary; (B, 77) -> (B, 77, 40)."""
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=TEXT_WIDTH,
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
    )
    return CLIPTextModel(config)


def make_vae() -> AutoencoderKL:
    """An 8x VAE in SD1's layout, (B, 3, 128, 128) <-> (B, 4, 16, 16)."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(WIDTH,) * 4,
        layers_per_block=1,
        latent_channels=4,
        sample_size=128,
    )


def make_unet() -> UNet2DConditionModel:
    """A U-Net with SD1's block structure: four levels, two resnets each, attention in the upper three."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        block_out_channels=(WIDTH,) * 4,
        layers_per_block=2,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # diffusers' old name for the number of heads
    )


def silence_residuals(module: torch.nn.Module) -> None:
    """Zero the last convolution of every resnet, so that each starts as the identity."""
    for part in module.modules():
        if hasattr(part, "conv2") and hasattr(part, "nonlinearity"):
            torch.nn.init.zeros_(part.conv2.weight)
            torch.nn.init.zeros_(part.conv2.bias)


def pass_through(vae: AutoencoderKL) -> None:
    """Start the VAE's down- and upsamplers as plain resampling: colour reaches both ends from the first step."""
    for name, part in vae.named_modules():
        if name.endswith(("downsamplers.0.conv", "upsamplers.0.conv")):
            torch.nn.init.dirac_(part.weight)
            torch.nn.init.zeros_(part.bias)


def cosine(step: int, steps: int, warmup: int = 50) -> float:
    """Learning rate factor: linear warm-up, then half a cosine down to 2 %."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def save(module: torch.nn.Module, path: Path) -> None:
    """Write the weights to ``path``, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(module.state_dict(), path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


class TagTokens:
    """Token ids of captions made of known tags: each tag is tokenised once (a comma is always a token of its own)."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.tokenizer = tokenizer
        self.known: dict[str, list[int]] = {}

    def __call__(self, captions: list[str]) -> torch.Tensor:
        """(B, 77) ids, ended and padded with the end token."""
        end = self.tokenizer.eos_token_id
        rows = torch.full((len(captions), 77), end)
        for row, text in zip(rows, captions, strict=True):
            ids = [self.tokenizer.bos_token_id]
            for i, tag in enumerate(text.split(", ") if text else []):
                if tag not in self.known:
                    self.known[tag] = self.tokenizer(tag, add_special_tokens=False).input_ids
                ids += [*self._comma() * (i > 0), *self.known[tag]]
            row[: min(len(ids), 76)] = torch.tensor(ids[:76])
        return rows

    def _comma(self) -> list[int]:
        return self.known.setdefault(",", self.tokenizer(",", add_special_tokens=False).input_ids)
