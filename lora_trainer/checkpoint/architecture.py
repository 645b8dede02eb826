"""The sizes of a model, from its config where it has one and otherwise from its weights' shapes; never from a
constant per family.

Only what no shape can tell has a default: SD1.5's eight attention heads (CLIP: 64 channels a head) and its noise
schedule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from lora_trainer.checkpoint.family import CLIP_L, FIRST_CONV, UNET, VAE

TEXT = f"{CLIP_L.stage}transformer."
SD1_HEADS = 8
CLIP_HEAD_CHANNELS = 64


def ldm_config(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, Any]:
    """A config in LDM's layout: ``config`` itself, or one measured from the weights when it is empty."""
    if config:
        params = {"linear_start": 0.00085, "linear_end": 0.012, "timesteps": 1000, **config["model"]["params"]}
        unet = {"transformer_depth": 1, **params["unet_config"]["params"]}
        return {"model": {"params": {**params, "unet_config": {"params": unet}}}}
    params = {"linear_start": 0.00085, "linear_end": 0.012, "timesteps": 1000, "scale_factor": 0.18215}
    params |= {"unet_config": {"params": _unet(tensors)}, "first_stage_config": {"params": {"ddconfig": _vae(tensors)}}}
    return {"model": {"params": params}}


def _unet(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    width, channels = tensors[FIRST_CONV].shape[:2]
    blocks = _numbered(tensors, rf"{re.escape(UNET)}input_blocks\.(\d+)\.")
    mults: list[int] = []
    attention, resnets, level = set(), 0, 0
    for block in range(1, max(blocks) + 1):
        prefix = f"{UNET}input_blocks.{block}."
        if f"{prefix}0.op.weight" in tensors:
            level += 1
            continue
        resnets += level == 0
        mults[level:] = [tensors[f"{prefix}0.out_layers.3.weight"].shape[0] // width]
        if f"{prefix}1.norm.weight" in tensors:
            attention.add(2**level)
    context = next(
        t.shape[1] for name, t in tensors.items() if name.startswith(UNET) and name.endswith("attn2.to_k.weight")
    )
    return {
        "in_channels": channels,
        "out_channels": tensors[f"{UNET}out.2.weight"].shape[0],
        "model_channels": width,
        "channel_mult": mults,
        "attention_resolutions": sorted(attention),
        "num_res_blocks": resnets,
        "num_heads": SD1_HEADS,
        "transformer_depth": 1,
        "context_dim": context,
    }


def _vae(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    width = tensors[f"{VAE}encoder.conv_in.weight"].shape[0]
    levels = _numbered(tensors, rf"{re.escape(VAE)}encoder\.down\.(\d+)\.")
    mults = [tensors[f"{VAE}encoder.down.{i}.block.0.conv2.weight"].shape[0] // width for i in sorted(levels)]
    return {
        "ch": width,
        "ch_mult": mults,
        "in_channels": 3,
        "out_ch": 3,
        "z_channels": tensors[f"{VAE}quant_conv.weight"].shape[0] // 2,
        "num_res_blocks": len(_numbered(tensors, rf"{re.escape(VAE)}encoder\.down\.0\.block\.(\d+)\.")),
    }


def clip_config(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of transformers' ``CLIPTextConfig``: ``config`` over what the weights' shapes tell."""
    embeddings = f"{TEXT}text_model.embeddings."
    vocabulary, width = tensors[f"{embeddings}token_embedding.weight"].shape
    layers = _numbered(tensors, rf"{re.escape(TEXT)}text_model\.encoder\.layers\.(\d+)\.")
    measured = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": tensors[f"{TEXT}text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": len(layers),
        "max_position_embeddings": tensors[f"{embeddings}position_embedding.weight"].shape[0],
        "projection_dim": width,
    }
    # transformers' own default of end token 2 selects its old way of finding the end; SD1's text encoder was trained
    # with it.
    defaults = {"num_attention_heads": max(1, width // CLIP_HEAD_CHANNELS), "hidden_act": "quick_gelu"}
    known = ("num_attention_heads", "hidden_act", "layer_norm_eps", "bos_token_id", "eos_token_id", "pad_token_id")
    return {**defaults, **{name: config[name] for name in known if name in config}, **measured}


def _numbered(tensors: Mapping[str, torch.Tensor], pattern: str) -> set[int]:
    matches = (re.match(pattern, name) for name in tensors)
    return {int(match.group(1)) for match in matches if match}
