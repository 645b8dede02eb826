"""Borrowing a checkpoint (D1): diffusers modules built around the tensors that somebody else holds.

Modules are made on the ``meta`` device and take the tensors by reference, so nothing is copied; diffusers' own
converters rename the keys. What is adopted must not be written to: its owner still draws pictures with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from lora_trainer.checkpoint import architecture, openclip
from lora_trainer.checkpoint.family import UNET, VAE, Family, Reading, family_of, predicting
from lora_trainer.checkpoint.noise import NoiseSchedule
from lora_trainer.checkpoint.prediction import schedule_of
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.checkpoint.tokenizer import clip_tokenizer
from lora_trainer.settings import LossSettings

PREFIX = "text_model."


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


def adopt(checkpoint: Checkpoint, scratch: Path, loss: LossSettings | None = None) -> Parts:
    """Build modules around the checkpoint's tensors. ``scratch`` is a folder for CLIP's vocabulary, if it has to be
    made; ``loss`` may say what the U-Net predicts.

    Raises ``BadCheckpoint`` for a kind of model that cannot be trained.
    """
    family = family_of(checkpoint)
    params = architecture.model_params(checkpoint.config)
    unet = _unet(checkpoint, family)
    noise = schedule_of(checkpoint, family, unet, loss or LossSettings())
    tokenizer = checkpoint.tokenizer or clip_tokenizer(scratch / "clip")
    read = architecture.encoder_params(checkpoint.config)
    read += [{}] * (len(family.encoders) - len(read))
    return Parts(
        family=predicting(family, noise.prediction_type),
        title=checkpoint.title,
        unet=unet,
        text_encoders=tuple(
            _text_encoder(checkpoint, reading, tokenizer, params)
            for reading, params in zip(family.encoders, read, strict=False)
        ),
        vae=_vae(checkpoint),
        noise=noise,
        scale_factor=float(params.get("scale_factor", family.scale_factor)),
    )


def _unet(checkpoint: Checkpoint, family: Family) -> UNet2DConditionModel:
    config = architecture.unet_config(checkpoint.tensors, checkpoint.config, family)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    named = {name: tensor for name, tensor in checkpoint.tensors.items() if name.startswith(UNET)}
    return _filled(unet, convert_ldm_unet_checkpoint(named, {"num_class_embeds": None, **config}))


def _vae(checkpoint: Checkpoint) -> AutoencoderKL:
    config = architecture.vae_config(checkpoint.tensors)
    with torch.device("meta"):
        vae = AutoencoderKL(**config)
    named = {name: tensor for name, tensor in checkpoint.tensors.items() if name.startswith(VAE)}
    return _filled(vae, convert_ldm_vae_checkpoint(named, config))


def _text_encoder(checkpoint: Checkpoint, reading: Reading, tokenizer: Any, params: Mapping[str, Any]) -> TextEncoder:
    reading = _as_configured(reading, params)
    stage = reading.stage + ("model." if reading.open_clip else "transformer.")
    tensors = {name[len(stage) :]: t for name, t in checkpoint.tensors.items() if name.startswith(stage)}
    if reading.open_clip:
        tensors = openclip.transformers_names(tensors, reading.unused, reading.pooled)
    config = CLIPTextConfig(**architecture.text_config(tensors, reading, checkpoint.text_config))
    with torch.device("meta"):
        module = (CLIPTextModelWithProjection if reading.pooled else CLIPTextModel)(config)
    if not reading.open_clip and "layer_idx" in params:  # counted from the first layer, unlike ours
        index = int(params["layer_idx"])
        reading = replace(reading, layer=index if index < 0 else index - config.num_hidden_layers - 1)
    return TextEncoder(_filled(module, _text_names(module, tensors)), tokenizer, reading)


def _as_configured(reading: Reading, params: Mapping[str, Any]) -> Reading:
    """``reading`` with the layer that an open_clip encoder's config names: ``penultimate``, unless it is ``last``."""
    if not reading.open_clip or params.get("layer") != "last":
        return reading
    return replace(reading, unused=0, layer=-1)


def _filled(module: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """``module`` holding ``tensors`` by reference, without gradients."""
    module.load_state_dict(dict(tensors), strict=True, assign=True)
    return module.requires_grad_(False).eval()


def _text_names(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under this transformers version's names: 5 dropped the prefix ``text_model.`` of the plain model,
    4.31 the position numbers."""
    wanted = module.state_dict()
    short = not any(name.startswith(PREFIX) for name in wanted)
    renamed = {name.removeprefix(PREFIX) if short else name: tensor for name, tensor in tensors.items()}
    positions = torch.arange(module.config.max_position_embeddings).unsqueeze(0)
    found = {name: renamed[name] for name in wanted if name in renamed}
    numbers = {name: positions for name in wanted if name.endswith("position_ids")}
    for name, buffer in module.named_buffers():
        if name.endswith("position_ids") and name not in wanted and buffer.is_meta:
            owner = module.get_submodule(name.rpartition(".")[0])
            owner.register_buffer("position_ids", positions, persistent=False)
    return {**found, **numbers}
