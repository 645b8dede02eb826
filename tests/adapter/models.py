"""Tiny random models of every family as working parts, and what the adapter's tests ask of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from lora_trainer.adapter.inject import Adapter, inject
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.checkpoint.family import SD1, SD2, SDXL, Family
from lora_trainer.settings import NetworkSettings, OptimizerSettings

FAMILIES = {family.name: family for family in (SD1, SD2, SDXL)}
TYPES = ("LoRA", "LoCon", "LoHa", "LoKr", "DoRA", "IA3")
WIDTH, TEXT_WIDTH, TIMES = 16, 32, 8
# All of what can learn, in the U-Net and every text encoder.
RATES = OptimizerSettings(unet_lr=1e-3, text_encoder_lr=1e-4, text_encoder_lr2=1e-5)


def parts_of(family: Family, seed: int = 0) -> Parts:
    """The same weights for the same seed."""
    torch.manual_seed(seed)
    kinds = (CLIPTextModel, CLIPTextModelWithProjection)
    encoders = [
        SimpleNamespace(module=_frozen(kind(_text_config())), prefix=reading.prefix)
        for kind, reading in zip(kinds, family.encoders, strict=False)
    ]
    unet = _frozen(UNet2DConditionModel(**_unet_config(family)))
    return cast(Parts, SimpleNamespace(family=family, title="tiny", unet=unet, text_encoders=tuple(encoders)))


def _unet_config(family: Family) -> dict[str, Any]:
    config: dict[str, Any] = {
        "sample_size": 8,
        "layers_per_block": 2,
        "attention_head_dim": 8,
        "norm_num_groups": 8,
        "cross_attention_dim": TEXT_WIDTH * len(family.encoders),
    }
    if family is not SDXL:
        return config | {
            "block_out_channels": (WIDTH, 2 * WIDTH, 3 * WIDTH, 3 * WIDTH),
            "use_linear_projection": family is SD2,
        }
    return config | {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (WIDTH, 2 * WIDTH, 3 * WIDTH),
        "transformer_layers_per_block": (1, 1, 2),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": TIMES,
        "projection_class_embeddings_input_dim": 6 * TIMES + TEXT_WIDTH,
    }


def _text_config() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=100,
        hidden_size=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=TEXT_WIDTH,
        bos_token_id=0,
        eos_token_id=1,
    )


def _frozen(module: Any) -> Any:
    return module.requires_grad_(False).eval()


def network(kind: str, **values: Any) -> NetworkSettings:
    return NetworkSettings(network_type=kind, **{"network_dim": 4, "network_alpha": 2.0, **values})


def with_adapter(parts: Parts, settings: NetworkSettings, std: float = 0.1) -> Adapter:
    """The parts with a network that does something."""
    adapter = inject(parts, settings, RATES, seed=1)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in adapter.parameters:
            parameter.add_(torch.randn(parameter.shape), alpha=std)
    return adapter


def unet_output(unet: Any, batch: int = 2) -> torch.Tensor:
    """What the U-Net says of fixed latents and embeddings."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn((batch, 4, 8, 8), generator=generator)
    context = torch.randn((batch, 7, unet.config.cross_attention_dim), generator=generator)
    added = {
        "text_embeds": torch.randn((batch, TEXT_WIDTH), generator=generator),
        "time_ids": torch.full((batch, 6), 8.0),
    }
    sized = {"added_cond_kwargs": added} if unet.config.addition_embed_type else {}
    output: torch.Tensor = unet(latents, torch.tensor([500] * batch), encoder_hidden_states=context, **sized).sample
    return output


def outputs(parts: Parts) -> list[torch.Tensor]:
    """What the U-Net and every text encoder say, without gradients."""
    tokens = torch.tensor([[0, 5, 9, 33, 1, 1]])
    with torch.no_grad():
        texts = [encoder.module(tokens).last_hidden_state for encoder in parts.text_encoders]
        return [unet_output(parts.unet), *texts]


def assert_same(actual: list[torch.Tensor], wanted: list[torch.Tensor], relative: float) -> None:
    """Equal to ``relative`` of each output's own size."""
    for ours, theirs in zip(actual, wanted, strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) <= relative


def change_of(before: list[torch.Tensor], after: list[torch.Tensor]) -> float:
    """How much at least every output changed, of its own size."""
    return min(float((a - b).norm() / b.norm()) for a, b in zip(after, before, strict=True))


def save(parts: Parts, path: Path, dtype: torch.dtype = torch.float32) -> Path:
    from lora_trainer.adapter.kohya import write_lora
    from lora_trainer.adapter.layers import state_of

    write_lora(path, state_of(parts, dtype), {"ss_network_dim": "4"})
    return path
