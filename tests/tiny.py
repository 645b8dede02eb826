"""Tiny random checkpoints of every family, made on the fly: the real layouts and block structures at few channels."""

from __future__ import annotations

import re
from pathlib import Path

import torch
import yaml
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from tests.openclip import OpenClip
from worlds.sprites.training.export import config, schedule_tensors, unet_name, vae_name

WIDTH, TEXT_WIDTH = 32, 64  # a text encoder of 64 channels has one head, as its shape tells
POOLED, SIZE_CHANNELS = 32, 8  # SDXL
FAMILIES = ("SD1", "SD2", "SDXL")
DOWN, UP = ("DownBlock2D", "CrossAttnDownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")

Texts = tuple[torch.nn.Module, ...]


def modules(seed: int = 0) -> tuple[UNet2DConditionModel, AutoencoderKL, CLIPTextModel]:
    """U-Net, VAE and text encoder of the SD1 as diffusers and transformers make them."""
    unet, vae, texts = modules_of("SD1", seed)
    return unet, vae, texts[0]


def modules_of(family: str, seed: int = 0) -> tuple[UNet2DConditionModel, AutoencoderKL, Texts]:
    """U-Net, VAE and text encoders: transformers' for SD1 and the first of SDXL, open_clip's for the others."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(sample_size=8, layers_per_block=2, **unet_arguments(family)).eval()
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(WIDTH,) * 4,
        layers_per_block=1,
    ).eval()
    texts: dict[str, Texts] = {
        "SD1": (_clip(2),),
        "SD2": (OpenClip(TEXT_WIDTH, 3, POOLED),),
        "SDXL": (_clip(3), OpenClip(TEXT_WIDTH, 3, POOLED)),
    }
    return unet, vae, tuple(text.eval() for text in texts[family])


def unet_arguments(family: str) -> dict[str, object]:
    """What tells the families' U-Nets apart. SD2 and SDXL have 64 channels a head, so they are wider."""
    if family == "SDXL":
        return {
            "down_block_types": (DOWN[0], DOWN[1], DOWN[1]),
            "up_block_types": (UP[1], UP[1], UP[0]),
            "block_out_channels": (WIDTH, 2 * WIDTH, 4 * WIDTH),
            "transformer_layers_per_block": (1, 1, 2),
            "attention_head_dim": (1, 1, 2),
            "cross_attention_dim": 2 * TEXT_WIDTH,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": SIZE_CHANNELS,
            "projection_class_embeddings_input_dim": POOLED + 6 * SIZE_CHANNELS,
        }
    sd2 = family == "SD2"
    width = 2 * WIDTH if sd2 else WIDTH
    return {
        "down_block_types": (DOWN[1],) * 3 + (DOWN[0],),
        "up_block_types": (UP[0],) + (UP[1],) * 3,
        "block_out_channels": (width, 2 * width, 2 * width, 2 * width),
        "cross_attention_dim": TEXT_WIDTH,
        "attention_head_dim": (1, 2, 2, 2) if sd2 else 8,
        "use_linear_projection": sd2,
    }


def _clip(layers: int) -> CLIPTextModel:
    sizes = {"hidden_size": TEXT_WIDTH, "intermediate_size": 128, "num_attention_heads": 1}
    return CLIPTextModel(CLIPTextConfig(vocab_size=49408, num_hidden_layers=layers, **sizes))


def tensors_of(family: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """The weights in fp16 under the names of LDM (SD1, SD2) and SGM (SDXL)."""
    unet, vae, texts = modules_of(family, seed)
    found = {f"model.diffusion_model.{_unet_name(name, family)}": t for name, t in unet.state_dict().items()}
    for name, tensor in vae.state_dict().items():
        is_attention = "attentions" in name and name.endswith("weight") and "group_norm" not in name
        found[f"first_stage_model.{vae_name(name)}"] = tensor[:, :, None, None] if is_attention else tensor
    stages = ("conditioner.embedders.0", "conditioner.embedders.1") if family == "SDXL" else ("cond_stage_model",)
    for stage, text in zip(stages, texts, strict=True):
        for name, tensor in text.state_dict().items():
            if isinstance(text, OpenClip):
                found[f"{stage}.model.{name}"] = tensor
            elif not name.endswith("position_ids"):
                found[f"{stage}.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    half = {name: tensor.to(torch.float16).contiguous() for name, tensor in found.items()}
    return half if family == "SDXL" else {**half, **schedule_tensors()}


def _unet_name(name: str, family: str) -> str:
    if family != "SDXL":
        return unet_name(name)
    if name.startswith("add_embedding"):
        return name.replace("add_embedding.linear_1", "label_emb.0.0").replace(
            "add_embedding.linear_2", "label_emb.0.2"
        )
    return re.sub(r"^(output_blocks\.\d+)\.1\.conv\.", r"\1.2.conv.", unet_name(name))  # its first level has attention


def write_checkpoint(folder: Path, seed: int = 0, with_yaml: bool = False, family: str = "SD1") -> Path:
    """``tiny.safetensors`` in ``folder``; without its yaml the architecture has to be told from the weights."""
    path = folder / "tiny.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors_of(family, seed), path, metadata={"format": "pt"})
    if with_yaml:
        model = config(0.18215) if family != "SDXL" else sdxl_config()
        if family != "SDXL":
            unet = model["model"]["params"]["unet_config"]["params"]  # type: ignore[index]
            unet |= {"model_channels": WIDTH, "channel_mult": [1, 2, 2, 2], "num_heads": 8, "context_dim": TEXT_WIDTH}
            model["model"]["params"]["first_stage_config"]["params"]["ddconfig"]["ch"] = WIDTH  # type: ignore[index]
        path.with_suffix(".yaml").write_text(yaml.safe_dump(model), encoding="utf-8")
    return path


def sdxl_config() -> dict[str, object]:
    """What of an SGM yaml no shape tells."""
    scaling = {"scaling_config": {"target": "sgm.modules.diffusionmodules.denoiser_scaling.VScaling"}}
    texts = [{"params": {"layer": "hidden", "layer_idx": 1}}, {"params": {"layer": "penultimate"}}]
    params = {
        "scale_factor": 0.2,
        "denoiser_config": {"params": scaling},
        "network_config": {"params": {"num_head_channels": 32}},
        "conditioner_config": {"params": {"emb_models": texts}},
    }
    return {"model": {"params": params}}
