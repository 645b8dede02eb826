"""The sizes of a model, read from its weights' shapes; what no shape can tell comes from its config.

What neither tells has a default: the attention heads (``Family.heads``) and CLIP's 64 channels a head.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from lora_trainer.checkpoint.family import FIRST_CONV, UNET, VAE, Family, Reading

Tensors = Mapping[str, torch.Tensor]
HEAD_CHANNELS = 64
SIZES = 6  # original height and width, crop from the top and from the left, target height and width


def model_params(config: Mapping[str, Any]) -> dict[str, Any]:
    """The model's parameters in an LDM or SGM config; empty where there is none."""
    return dict((config.get("model") or {}).get("params") or {})


def encoder_params(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameters of the text encoders in a config (and, after them, of SDXL's other conditions)."""
    params = model_params(config)
    conditioner = (params.get("conditioner_config") or {}).get("params") or {}
    stages = conditioner.get("emb_models") or [params.get("cond_stage_config") or {}]
    return [dict(stage.get("params") or {}) for stage in stages]


def unet_config(tensors: Tensors, config: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """Arguments of diffusers' ``UNet2DConditionModel``."""
    widths, depths, resnets = _levels(tensors)
    middle = _depth(tensors, f"{UNET}middle_block.1.")
    kinds = ["CrossAttn" * (depth > 0) for depth in depths]
    linear = next(t for name, t in tensors.items() if name.startswith(UNET) and name.endswith(".proj_in.weight"))
    context = next(t for name, t in tensors.items() if name.startswith(UNET) and name.endswith("attn2.to_k.weight"))
    measured = {
        "in_channels": tensors[FIRST_CONV].shape[1],
        "out_channels": tensors[f"{UNET}out.2.weight"].shape[0],
        "block_out_channels": tuple(widths),
        "layers_per_block": resnets,
        "down_block_types": tuple(f"{kind}DownBlock2D" for kind in kinds),
        "up_block_types": tuple(f"{kind}UpBlock2D" for kind in reversed(kinds)),
        # The middle has the depth of the level before it: diffusers takes the last number for both.
        "transformer_layers_per_block": (*(depth or 1 for depth in depths[:-1]), depths[-1] or middle),
        "cross_attention_dim": context.shape[1],
        "attention_head_dim": _heads(config, family, widths),  # diffusers' name for the number of heads
        "use_linear_projection": linear.ndim == 2,
    }
    return {**measured, **_size_embedding(tensors, family)}


def _levels(tensors: Tensors) -> tuple[list[int], list[int], int]:
    """Width and depth of transformers of every level, and the number of resnets in each."""
    widths: list[int] = []
    depths: list[int] = []
    level = resnets = 0
    for block in range(1, max(_numbered(tensors, f"{UNET}input_blocks.")) + 1):
        prefix = f"{UNET}input_blocks.{block}."
        if f"{prefix}0.op.weight" in tensors:
            level += 1
            continue
        resnets += level == 0
        widths[level:] = [tensors[f"{prefix}0.out_layers.3.weight"].shape[0]]
        depths[level:] = [_depth(tensors, f"{prefix}1.")]
    return widths, depths, resnets


def _depth(tensors: Tensors, prefix: str) -> int:
    return len(_numbered(tensors, f"{prefix}transformer_blocks."))


def _heads(config: Mapping[str, Any], family: Family, widths: list[int]) -> int | tuple[int, ...]:
    params = model_params(config)
    unet = (params.get("unet_config") or params.get("network_config") or {}).get("params") or {}
    channels, heads = unet.get("num_head_channels", -1), unet.get("num_heads", -1)
    if channels == -1 and heads == -1:
        channels, heads = HEAD_CHANNELS, family.heads or -1
    return heads if heads != -1 else tuple(width // channels for width in widths)


def _size_embedding(tensors: Tensors, family: Family) -> dict[str, Any]:
    """How SDXL's U-Net is told sizes and the pooled text."""
    if not family.sized:
        return {}
    pooled = next(tensors[f"{r.stage}model.text_projection"].shape[1] for r in family.encoders if r.pooled)
    told = tensors[f"{UNET}label_emb.0.0.weight"].shape[1]
    return {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": (told - pooled) // SIZES,
        "projection_class_embeddings_input_dim": told,
    }


def vae_config(tensors: Tensors) -> dict[str, Any]:
    """Arguments of diffusers' ``AutoencoderKL``."""
    levels = sorted(_numbered(tensors, f"{VAE}encoder.down."))
    return {
        "down_block_types": ("DownEncoderBlock2D",) * len(levels),
        "up_block_types": ("UpDecoderBlock2D",) * len(levels),
        "block_out_channels": tuple(
            tensors[f"{VAE}encoder.down.{level}.block.0.conv2.weight"].shape[0] for level in levels
        ),
        "layers_per_block": len(_numbered(tensors, f"{VAE}encoder.down.0.block.")),
        "latent_channels": tensors[f"{VAE}quant_conv.weight"].shape[0] // 2,
    }


def text_config(tensors: Tensors, reading: Reading, config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of transformers' ``CLIPTextConfig`` for a text encoder whose ``tensors`` have transformers' names.

    ``config`` is its own, which open_clip's layout does not have.
    """
    vocabulary, width = tensors["text_model.embeddings.token_embedding.weight"].shape
    projection = tensors.get("text_projection.weight")
    measured = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": tensors["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": len(_numbered(tensors, "text_model.encoder.layers.")),
        "max_position_embeddings": tensors["text_model.embeddings.position_embedding.weight"].shape[0],
        "projection_dim": width if projection is None else projection.shape[0],
    }
    heads = {"num_attention_heads": max(1, width // HEAD_CHANNELS)}
    if reading.open_clip:
        return {**heads, "hidden_act": "gelu", **measured}
    # transformers' own default of end token 2 selects its old way of finding the end; SD1's text encoder was trained
    # with it.
    known = ("num_attention_heads", "hidden_act", "layer_norm_eps", "bos_token_id", "eos_token_id", "pad_token_id")
    return {**heads, "hidden_act": "quick_gelu", **{name: config[name] for name in known if name in config}, **measured}


def _numbered(tensors: Tensors, prefix: str) -> set[int]:
    """The numbers that follow ``prefix`` in the names."""
    pattern = re.compile(rf"{re.escape(prefix)}(\d+)\.")
    return {int(match.group(1)) for match in map(pattern.match, tensors) if match}
