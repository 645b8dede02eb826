"""What a forecast needs to know of a checkpoint, told from its tensors' names and shapes; no tensor is read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import torch

from lora_trainer.checkpoint.architecture import model_params
from lora_trainer.checkpoint.family import UNET, VAE, Family, family_of, predicting
from lora_trainer.checkpoint.source import Checkpoint

STRIDE = 8  # pixels of a latent, on every Stable Diffusion
TINY = 0.2  # of the family's weights
# Weights of the families' U-Nets (counted from their configs).
REFERENCE = {"SD1": 859.5e6, "SD2": 865.9e6, "SDXL": 2567.5e6}

LINEAR = re.compile(r".*(transformer_blocks\..*|proj_in|proj_out)\.weight")
CONVOLUTION = re.compile(r".*\.(in_layers\.2|out_layers\.3|op|conv|skip_connection|emb_layers\.1)\.weight")
TEXT = re.compile(r".*(self_attn\.\w+_proj|mlp\.fc\d|mlp\.c_\w+|attn\.in_proj_weight|attn\.out_proj)(\.weight)?")


@dataclass(frozen=True)
class Model:
    """A checkpoint in numbers. Weights are counted, sizes are bytes; the ``…_ranks`` are the numbers that a LoRA of
    rank 1 has in the transformers, in the convolutions and in each text encoder."""

    title: str
    family: str
    resolution: int  # side of the pictures that it was made for, in pixels
    unet: int
    weights: int
    size: int
    shared: int  # bytes that lie in the graphics card's memory already
    linear_ranks: int
    convolution_ranks: int
    text_ranks: tuple[int, ...]

    @property
    def scale(self) -> float:
        """Its U-Net's weights as a share of the family's."""
        return self.unet / REFERENCE[self.family]

    @property
    def tiny(self) -> bool:
        """Whether it is far smaller than its family, so that the family's numbers do not hold."""
        return self.scale < TINY


def model_of(checkpoint: Checkpoint) -> Model:
    """The checkpoint in numbers. Raises ``BadCheckpoint`` when it is of a kind that cannot be trained."""
    family = family_of(checkpoint)
    unet = {name: t for name, t in checkpoint.tensors.items() if name.startswith(UNET)}
    weights = {name: t for name, t in checkpoint.tensors.items() if t.ndim}
    convolutions = [t for name, t in unet.items() if CONVOLUTION.fullmatch(name)]
    texts = [
        sum(_rank_one(t) for name, t in checkpoint.tensors.items() if _is_text(name, reading.stage))
        for reading in family.encoders
    ]
    count = sum(t.numel() for t in unet.values())
    return Model(
        title=checkpoint.title,
        family=family.name,
        resolution=_resolution(checkpoint, family, count),
        unet=count,
        weights=sum(t.numel() for t in weights.values()),
        size=sum(t.numel() * t.element_size() for t in weights.values()),
        shared=sum(t.numel() * t.element_size() for t in weights.values() if t.device.type == "cuda"),
        linear_ranks=sum(_rank_one(t) for name, t in unet.items() if LINEAR.fullmatch(name)),
        convolution_ranks=sum(_rank_one(t) for t in convolutions),
        text_ranks=tuple(texts),
    )


def vae_share(family: str) -> float:
    """The VAE's share of the weights, about: it always works in fp32."""
    return {"SD1": 0.08, "SD2": 0.065, "SDXL": 0.024}[family]


def _is_text(name: str, stage: str) -> bool:
    return name.startswith(stage) and not name.startswith(VAE) and TEXT.fullmatch(name) is not None


def _rank_one(weight: torch.Tensor) -> int:
    """How many numbers a LoRA of rank 1 has on a layer: one for each of its inputs and outputs. Fused q, k and v are
    three layers."""
    if weight.ndim < 2:
        return 0
    rows, inputs = weight.shape[0], math.prod(weight.shape[1:])
    fused = 3 if weight.ndim == 2 and rows == 3 * inputs else 1
    return rows + fused * inputs


def _resolution(checkpoint: Checkpoint, family: Family, unet: int) -> int:
    """The config's own size where the model is none of the known ones, else that of its family: the configs of these
    all name SD 1's."""
    params = model_params(checkpoint.config)
    told = params.get("image_size")
    if unet < TINY * REFERENCE[family.name] and isinstance(told, int) and told > 0:
        return told * STRIDE
    predicts_v = params.get("parameterization") == "v"
    return predicting(family, "v_prediction" if predicts_v else "epsilon").resolution
