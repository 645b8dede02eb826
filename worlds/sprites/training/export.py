"""Write the checkpoint in SD1's layout: ``python -m worlds.sprites.training.export OUT FILE``.

Beside ``FILE`` (``sprites.safetensors``) it writes ``sprites.yaml``, the model config that the WebUI and LoRA Trainer
read, and ``clip/config.json``, the text encoder's.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file

from worlds.sprites.training.parts import TEXT_WIDTH, WIDTH, make_text_encoder, make_unet, make_vae
from worlds.sprites.training.unet import scheduler

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def unet_name(name: str) -> str:
    """LDM's name of a diffusers U-Net tensor (two resnets a level)."""
    for ours, theirs in ENDS.items():
        if name.startswith(f"{ours}."):
            return name.replace(ours, theirs, 1)
    if match := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name):
        way, level, kind, layer, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
        if kind == "downsamplers":
            return f"input_blocks.{3 * level + 3}.0.op.{rest.removeprefix('conv.')}"
        if kind == "upsamplers":
            return f"output_blocks.{3 * level + 2}.{2 if level else 1}.{rest}"
        block = f"input_blocks.{3 * level + layer + 1}" if way == "down" else f"output_blocks.{3 * level + layer}"
        return f"{block}.{1 if kind == 'attentions' else 0}.{_resnet(rest) if kind == 'resnets' else rest}"
    match = re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name)
    assert match, name
    resnet = match[1] == "resnets"
    return f"middle_block.{2 * int(match[2]) if resnet else 1}.{_resnet(match[3]) if resnet else match[3]}"


def _resnet(rest: str) -> str:
    part, _, tail = rest.partition(".")
    return f"{RESNET[part]}.{tail}"


def vae_name(name: str, levels: int = 4) -> str:
    """LDM's name of a diffusers VAE tensor."""
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", name)
    name = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{levels - 1 - int(m[1])}.block.", name)
    name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{levels - 1 - int(m[1])}.upsample.", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = name.replace("mid_block.attentions.0.group_norm", "mid.attn_1.norm")
    for ours, theirs in (("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")):
        name = name.replace(f"mid_block.attentions.0.{ours}", f"mid.attn_1.{theirs}")
    return name


def ldm_tensors(unet: torch.nn.Module, vae: torch.nn.Module, text: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Every weight under its LDM name, as it is."""
    found = {}
    for name, tensor in unet.state_dict().items():
        found[f"model.diffusion_model.{unet_name(name)}"] = tensor
    for name, tensor in vae.state_dict().items():
        is_attention = "attentions" in name and name.endswith("weight") and "group_norm" not in name
        found[f"first_stage_model.{vae_name(name)}"] = tensor[:, :, None, None] if is_attention else tensor
    for name, tensor in text.state_dict().items():
        if not name.endswith("position_ids"):
            found[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    return found


def checkpoint_tensors(unet: torch.nn.Module, vae: torch.nn.Module, text: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The whole checkpoint: weights in fp16, and the noise schedule in fp32 as the WebUI expects it."""
    half = {name: tensor.to(torch.float16).contiguous() for name, tensor in ldm_tensors(unet, vae, text).items()}
    half["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77).unsqueeze(0)
    return {**half, **schedule_tensors()}


def schedule_tensors() -> dict[str, torch.Tensor]:
    """The schedule buffers that LDM keeps in a checkpoint; the WebUI makes its model on the meta device and needs
    them."""
    betas = scheduler().betas.double()
    bar = (1 - betas).cumprod(0)
    before = torch.cat([torch.ones(1, dtype=torch.float64), bar[:-1]])
    variance = betas * (1 - before) / (1 - bar)
    values = {
        "betas": betas,
        "alphas_cumprod": bar,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": bar.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - bar).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - bar).log(),
        "sqrt_recip_alphas_cumprod": (1 / bar).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / bar - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - bar),
        "posterior_mean_coef2": (1 - before) * (1 - betas).sqrt() / (1 - bar),
    }
    return {name: value.float() for name, value in values.items()}


def config(scale_factor: float) -> dict[str, object]:
    """The model config in LDM's layout."""
    params = {
        "linear_start": 0.00085,
        "linear_end": 0.012,
        "num_timesteps_cond": 1,
        "log_every_t": 200,
        "timesteps": 1000,
        "first_stage_key": "jpg",
        "cond_stage_key": "txt",
        "image_size": 16,
        "channels": 4,
        "cond_stage_trainable": False,
        "conditioning_key": "crossattn",
        "monitor": "val/loss_simple_ema",
        "scale_factor": scale_factor,
        "use_ema": False,
        "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": unet_params()},
        "first_stage_config": {
            "target": "ldm.models.autoencoder.AutoencoderKL",
            "params": {
                "embed_dim": 4,
                "monitor": "val/rec_loss",
                "ddconfig": vae_params(),
                "lossconfig": {"target": "torch.nn.Identity"},
            },
        },
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder",
            "params": {"version": "clip"},
        },
    }
    target = "ldm.models.diffusion.ddpm.LatentDiffusion"
    return {"model": {"base_learning_rate": 1.0e-04, "target": target, "params": params}}


def unet_params() -> dict[str, object]:
    """LDM's words for ``make_unet``."""
    return {
        "image_size": 16,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": WIDTH,
        "attention_resolutions": [4, 2, 1],
        "num_res_blocks": 2,
        "channel_mult": [1, 1, 1, 1],
        "num_heads": 4,
        "use_spatial_transformer": True,
        "transformer_depth": 1,
        "context_dim": TEXT_WIDTH,
        "use_checkpoint": False,
        "legacy": False,
    }


def vae_params() -> dict[str, object]:
    """LDM's words for ``make_vae``."""
    return {
        "double_z": True,
        "z_channels": 4,
        "resolution": 128,
        "in_channels": 3,
        "out_ch": 3,
        "ch": WIDTH,
        "ch_mult": [1, 1, 1, 1],
        "num_res_blocks": 1,
        "attn_resolutions": [],
        "dropout": 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    args.file.parent.mkdir(parents=True, exist_ok=True)
    scale = float((args.out / "scale_factor.txt").read_text(encoding="utf-8"))
    parts = [(make_unet(), "unet.pt"), (make_vae(), "vae.pt"), (make_text_encoder(), "text.pt")]
    for module, file in parts:
        module.load_state_dict(torch.load(args.out / file))
    save_file(
        checkpoint_tensors(*(module for module, _ in parts)),
        args.file,
        metadata={"format": "pt", "modelspec.title": "Sprites", "modelspec.license": "MIT"},
    )
    args.file.with_suffix(".yaml").write_text(yaml.safe_dump(config(scale), sort_keys=False), encoding="utf-8")
    clip = make_text_encoder().config
    names = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_act",
        "max_position_embeddings",
        "layer_norm_eps",
        "projection_dim",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
    )
    values = {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        **{name: getattr(clip, name) for name in names},
    }
    folder = args.file.with_name("clip")
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    print(f"{args.file} {args.file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
