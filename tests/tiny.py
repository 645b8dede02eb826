"""A tiny random Stable Diffusion 1 checkpoint, made on the fly: the real layout and block structure at 32 channels."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from worlds.sprites.training.export import checkpoint_tensors, config

WIDTH, TEXT_WIDTH = 32, 64  # a text encoder of 64 channels has one head, as its shape tells


def modules(seed: int = 0) -> tuple[UNet2DConditionModel, AutoencoderKL, CLIPTextModel]:
    """U-Net, VAE and text encoder as diffusers and transformers make them."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        block_out_channels=(WIDTH, 2 * WIDTH, 2 * WIDTH, 2 * WIDTH),
        layers_per_block=2,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(WIDTH,) * 4,
        layers_per_block=1,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408, hidden_size=TEXT_WIDTH, intermediate_size=128, num_hidden_layers=2, num_attention_heads=1
        )
    )
    return unet.eval(), vae.eval(), text.eval()


def write_checkpoint(folder: Path, seed: int = 0, with_yaml: bool = False) -> Path:
    """``tiny.safetensors`` in ``folder``; without its yaml the architecture has to be told from the weights."""
    path = folder / "tiny.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(checkpoint_tensors(*modules(seed)), path, metadata={"format": "pt"})
    if with_yaml:
        model = config(0.18215)
        unet = model["model"]["params"]["unet_config"]["params"]  # type: ignore[index]
        unet |= {"model_channels": WIDTH, "channel_mult": [1, 2, 2, 2], "num_heads": 8, "context_dim": TEXT_WIDTH}
        model["model"]["params"]["first_stage_config"]["params"]["ddconfig"]["ch"] = WIDTH  # type: ignore[index]
        path.with_suffix(".yaml").write_text(yaml.safe_dump(model), encoding="utf-8")
    return path
