"""Borrowing a checkpoint (D1): diffusers modules built around the tensors that somebody else holds.

Modules are made on the ``meta`` device and take the tensors by reference, so nothing is copied; diffusers' own
converters rename the keys. What is adopted must not be written to: its owner still draws pictures with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    create_unet_diffusers_config_from_ldm,
    create_vae_diffusers_config_from_ldm,
)
from transformers import CLIPTextConfig, CLIPTextModel

from lora_trainer.checkpoint.architecture import clip_config, ldm_config
from lora_trainer.checkpoint.family import CLIP_L, UNET, VAE, Family, Reading, family_of
from lora_trainer.checkpoint.noise import NoiseSchedule, noise_schedule
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.checkpoint.tokenizer import clip_tokenizer


TEXT = f"{CLIP_L.stage}transformer."


@dataclass(frozen=True)
class TextEncoder:
    """One text encoder of a model, and what its family takes from it."""

    module: torch.nn.Module  # transformers' CLIPTextModel or CLIPTextModelWithProjection
    tokenizer: Any
    reading: Reading

    @property
    def prefix(self) -> str:
        """kohya's, of its modules in a LoRA file: ``lora_te`` (SD1, SD2), ``lora_te1`` and ``lora_te2`` (SDXL)."""
        return self.reading.prefix


@dataclass(frozen=True)
class Parts:
    """A checkpoint as working modules that share its storage, frozen and in evaluation mode."""

    family: Family
    title: str
    unet: UNet2DConditionModel
    text_encoders: tuple[TextEncoder, ...]
    vae: AutoencoderKL
    noise: NoiseSchedule
    scale_factor: float  # latents = scale_factor * what the VAE gives

    @property
    def modules(self) -> tuple[torch.nn.Module, ...]:
        """Everything borrowed: U-Net, text encoders, VAE."""
        return (self.unet, *(encoder.module for encoder in self.text_encoders), self.vae)


def adopt(checkpoint: Checkpoint, scratch: Path) -> Parts:
    """Build modules around the checkpoint's tensors. ``scratch`` is a folder for CLIP's vocabulary, if it has to be
    made.

    Raises ``BadCheckpoint`` for a kind of model that cannot be trained.
    """
    family = family_of(checkpoint)
    config = ldm_config(checkpoint.tensors, checkpoint.config)
    params = config["model"]["params"]
    named = {name: tensor for name, tensor in checkpoint.tensors.items() if name.startswith((UNET, VAE))}

    unet_config = create_unet_diffusers_config_from_ldm(config, named)
    vae_config = create_vae_diffusers_config_from_ldm(config, named)
    text_tensors = {name[len(TEXT) :]: t for name, t in checkpoint.tensors.items() if name.startswith(TEXT)}
    with torch.device("meta"):
        unet = UNet2DConditionModel(**unet_config)
        vae = AutoencoderKL(**vae_config)
        text_encoder = CLIPTextModel(CLIPTextConfig(**clip_config(checkpoint.tensors, checkpoint.text_config)))
    return Parts(
        family=family,
        title=checkpoint.title,
        unet=_filled(unet, convert_ldm_unet_checkpoint(named, unet_config)),
        text_encoders=(
            TextEncoder(
                _filled(text_encoder, _text_names(text_encoder, text_tensors)),
                checkpoint.tokenizer or clip_tokenizer(scratch / "clip"),
                CLIP_L,
            ),
        ),
        vae=_filled(vae, convert_ldm_vae_checkpoint(named, vae_config)),
        noise=noise_schedule(params),
        scale_factor=float(params.get("scale_factor", 0.18215)),
    )


def _filled(module: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """``module`` holding ``tensors`` by reference, without gradients."""
    module.load_state_dict(dict(tensors), strict=True, assign=True)
    return module.requires_grad_(False).eval()


def _text_names(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under this transformers version's names: 5 dropped the prefix ``text_model.``, 4.31 the position
    numbers."""
    wanted = module.state_dict()
    prefix = "text_model."
    short = not any(name.startswith(prefix) for name in wanted)
    renamed = {name.removeprefix(prefix) if short else name: tensor for name, tensor in tensors.items()}
    positions = torch.arange(module.config.max_position_embeddings).unsqueeze(0)
    found = {name: renamed[name] for name in wanted if name in renamed}
    numbers = {name: positions for name in wanted if name.endswith("position_ids")}
    for name, buffer in module.named_buffers():
        if name.endswith("position_ids") and name not in wanted and buffer.is_meta:
            owner = module.get_submodule(name.rpartition(".")[0])
            owner.register_buffer("position_ids", positions, persistent=False)
    return {**found, **numbers}
