"""What kind of model a checkpoint is, told from its tensors' names and shapes; refuses what cannot be trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lora_trainer.checkpoint import naming
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.errors import BadCheckpoint

UNET, VAE = "model.diffusion_model.", "first_stage_model."
EDM = ("edm_mean", "edm_vpred.")  # marks of models with another kind of noise (Playground 2.5, CosXL)
FIRST_CONV = f"{UNET}input_blocks.0.0.weight"  # (width, channels in, 3, 3)


@dataclass(frozen=True)
class Reading:
    """A text encoder's place in a checkpoint, and what its family takes from it."""

    stage: str  # its tensors' common prefix
    prefix: str  # kohya's, of its modules in a LoRA file
    open_clip: bool  # in open_clip's layout, with one tensor for q, k and v; else in transformers'
    layer: int = -1  # which hidden states, counted from the end
    unused: int = 0  # layers at the end that neither the U-Net nor the pooled embedding hears of
    normed: bool = True  # whether they go through the final norm
    skips: bool = True  # whether clip skip counts
    pooled: bool = False  # whether the end token's embedding, projected, is taken too
    pad: int | None = None  # token that fills a chunk after its end token; None repeats the end token


@dataclass(frozen=True)
class Family:
    """A kind of model as data: how it reads captions, and what a LoRA file and the WebUI call it."""

    name: str
    base_model_version: str  # ss_base_model_version
    card_version: str  # "sd version" of the WebUI's card
    architecture: str  # modelspec.architecture
    resolution: int  # side of the square pictures that it was made for, in pixels
    scale_factor: float  # latents = scale_factor * what the VAE gives, unless the config says another
    encoders: tuple[Reading, ...]
    heads: int | None = None  # attention heads of every U-Net layer, which no shape tells; None: 64 channels a head
    sized: bool = False  # whether the U-Net is told sizes and crops
    zero_negative: bool = False  # whether the WebUI shows zeros in place of an empty negative prompt
    ldm_names: bool = False  # whether kohya names U-Net modules as LDM does; else as diffusers does

    def unet_key(self, module: str) -> str:
        """kohya's name, without a prefix, of diffusers' U-Net ``module`` (``down_blocks.0.attentions.0.proj_in``)."""
        return (naming.sdxl_module(module) if self.ldm_names else module).replace(".", "_")

    def blocks(self, module: str) -> int:
        """kohya's index of the block that diffusers' U-Net ``module`` is in: 0 … 24 (SD1, SD2) or 0 … 22 (SDXL)."""
        return naming.sdxl_block(module) if self.ldm_names else naming.diffusers_block(module)


OPEN_CLIP_PAD = 0
CLIP_L = Reading("cond_stage_model.", "lora_te", open_clip=False)
VIT_H = Reading("cond_stage_model.", "lora_te", open_clip=True, unused=1, pad=OPEN_CLIP_PAD)
SDXL_L = Reading("conditioner.embedders.0.", "lora_te1", open_clip=False, layer=-2, normed=False, skips=False)
SDXL_G = replace(
    SDXL_L, stage="conditioner.embedders.1.", prefix="lora_te2", open_clip=True, pooled=True, pad=OPEN_CLIP_PAD
)

SD1 = Family("SD1", "sd_v1", "SD1", "stable-diffusion-v1/lora", 512, 0.18215, (CLIP_L,), heads=8)
SD2 = Family("SD2", "sd_v2", "SD2", "stable-diffusion-v2-512/lora", 512, 0.18215, (VIT_H,))
SDXL = Family(
    "SDXL",
    "sdxl_base_v1-0",
    "SDXL",
    "stable-diffusion-xl-v1-base/lora",
    1024,
    0.13025,
    (SDXL_L, SDXL_G),
    sized=True,
    zero_negative=True,
    ldm_names=True,
)
# Of the models that predict v, these have names of their own.
V_PREDICTION = {
    SD1: replace(SD1, base_model_version="sd_v1_v"),
    SD2: replace(SD2, base_model_version="sd_v2_v", architecture="stable-diffusion-v2-768-v/lora", resolution=768),
}


def predicting(family: Family, prediction_type: str) -> Family:
    """``family`` under its names for models that predict ``prediction_type``."""
    return V_PREDICTION.get(family, family) if prediction_type == "v_prediction" else family


def family_of(checkpoint: Checkpoint) -> Family:
    """The checkpoint's family. Raises ``BadCheckpoint`` with the reason when it is of a kind that cannot be trained.

    ``adopt`` may name an SD1 or SD2 more precisely (``predicting``): the names do not tell what the U-Net predicts.
    """
    kind = _unsupported(checkpoint.tensors)
    if kind:
        raise BadCheckpoint(f"checkpoint_{kind}", field="checkpoint", title=checkpoint.title)
    if _has(checkpoint.tensors, SDXL_G.stage):
        return SDXL
    return SD2 if _has(checkpoint.tensors, f"{VIT_H.stage}model.") else SD1


def _unsupported(tensors: Mapping[str, torch.Tensor]) -> str | None:
    if any(".joint_blocks." in name for name in tensors):
        return "sd3"
    if FIRST_CONV not in tensors:
        return "other"
    if tensors[FIRST_CONV].shape[1] != 4:
        return "inpainting"
    first, second = (_has(tensors, reading.stage) for reading in SDXL.encoders)
    if first and not second:
        return "refiner"
    if second and (not _has(tensors, f"{UNET}middle_block.1.transformer_blocks.") or _has(tensors, EDM)):
        return "variant"
    if not second and _has(tensors, f"{UNET}label_emb."):  # unCLIP: it is told a picture too
        return "inpainting"
    texts = first or _has(tensors, f"{CLIP_L.stage}transformer.") or _has(tensors, f"{VIT_H.stage}model.")
    return None if texts and _has(tensors, VAE) else "incomplete"


def _has(tensors: Mapping[str, torch.Tensor], prefix: str | tuple[str, ...]) -> bool:
    return any(name.startswith(prefix) for name in tensors)


def check_file(path: Path) -> None:
    """Raise ``BadCheckpoint`` unless ``path`` is a file that may be opened at all (a ``.safetensors``, no pickle)."""
    if not path.is_file():
        raise BadCheckpoint("checkpoint_missing", field="checkpoint", path=path)
    if path.suffix.lower() != ".safetensors":
        raise BadCheckpoint("checkpoint_pickle", field="checkpoint", name=path.name)
