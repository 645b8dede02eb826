"""Where a network goes: the layers of U-Net and text encoders that learn, with their ranks and learning rates."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch

from lora_trainer.adapter.arguments import Network
from lora_trainer.adapter.blocks import of_all_blocks, rate_factors
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.checkpoint.family import Family

UNET_PREFIX = "lora_unet"
# What a layer belongs to, told from its name in diffusers and transformers.
AREAS = {
    "attention": r".*\.attn\d\.(to_q|to_k|to_v|to_out\.0)",
    "feed_forward": r".*\.(ff\.net\.0\.proj|ff\.net\.2|proj_in|proj_out)",
    "resnet": r".*(resnets\.\d+\.(conv1|conv2|time_emb_proj|conv_shortcut)|(down|up)samplers\.0\.conv)",
    "ends": r"conv_in|conv_out|time_embedding\.linear_[12]",
    "norm": r".*(resnets\.\d+\.norm[12]|attentions\.\d+\.norm|transformer_blocks\.\d+\.norm[123])",
    "text_attention": r".*\.self_attn\.(q_proj|k_proj|v_proj|out_proj)",
    "text_feed_forward": r".*\.mlp\.fc[12]",
}
TEXT, TRANSFORMER = ("text_attention", "text_feed_forward"), ("attention", "feed_forward")
PRESET_AREAS = {
    "full": (*TRANSFORMER, "resnet", "ends", *TEXT),
    "full-lin": (*TRANSFORMER, "resnet", "ends", *TEXT),
    "attn-mlp": (*TRANSFORMER, *TEXT),
    "attn-only": ("attention", "text_attention"),
    "unet-only": (*TRANSFORMER, "resnet", "ends"),
    "unet-transformer-only": TRANSFORMER,
    "unet-convblock-only": ("resnet", "ends"),
    "ia3": (*TRANSFORMER, *TEXT),
}
# Keys, values and the last feed-forward layer (arXiv 2205.05638). The WebUI applies an OpenCLIP attention only when all
# four of its layers are in the file, so text encoders learn all four.
IA3_LAYERS = r".*(attn\d\.to_k|attn\d\.to_v|ff\.net\.2|self_attn\.\w+|mlp\.fc2)"
IA3_ON_INPUT = r".*(ff\.net\.2|mlp\.fc2)"


@dataclass(frozen=True)
class Place:
    """One layer that an adapter may sit on."""

    root: torch.nn.Module  # the U-Net or text encoder that it is in
    component: int  # 0: the U-Net; n: the n-th text encoder
    name: str  # of the layer within root
    key: str  # in LoRA files
    area: str
    layer: torch.nn.Module
    block: int | None  # kohya's number of the U-Net's block

    @property
    def is_convolution(self) -> bool:
        """Whether it sees more than one pixel at a time; convolutions of one pixel count as linear layers."""
        return isinstance(self.layer, torch.nn.Conv2d) and self.layer.kernel_size != (1, 1)


@dataclass(frozen=True)
class Part:
    """What a place is given: its rank, its alpha as stored, and the factor on its learning rate."""

    place: Place
    rank: int
    alpha: float
    rate_factor: float


def components(parts: Parts) -> list[tuple[str, torch.nn.Module]]:
    """The networks that can learn, by kohya's prefix: the U-Net, then the text encoders."""
    return [(UNET_PREFIX, parts.unet), *((encoder.prefix, encoder.module) for encoder in parts.text_encoders)]


def places(parts: Parts) -> Iterator[Place]:
    """Every layer that any kind of network can sit on."""
    kinds = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.GroupNorm, torch.nn.LayerNorm)
    for component, (prefix, root) in enumerate(components(parts)):
        for name, module in root.named_modules():
            layer = getattr(module, "base_layer", module)  # beneath an adapter that is there already
            area = area_of(name, is_unet=component == 0)
            if area and isinstance(layer, kinds):
                key = key_of(parts.family, prefix, name)
                block = parts.family.blocks(name) if component == 0 else None
                yield Place(root, component, name, key, area, layer, block)


def area_of(name: str, is_unet: bool) -> str | None:
    """What the layer belongs to; None where no network goes."""
    for area, pattern in AREAS.items():
        if area.startswith("text_") != is_unet and re.fullmatch(pattern, name):
            return area
    return None


def key_of(family: Family, prefix: str, name: str) -> str:
    """kohya's name of a layer in LoRA files."""
    if prefix == UNET_PREFIX:
        return f"{prefix}_{family.unet_key(name)}"
    if not name.startswith("text_model."):
        name = f"text_model.{name}"  # transformers 5 dropped it
    return f"{prefix}_{name.replace('.', '_')}"


def plan(parts: Parts, network: Network, learning: Collection[int]) -> list[Part]:
    """What learns in the components ``learning``. Raises ``BadSettings`` for lists of blocks of a wrong length."""
    family = parts.family.name
    factors = rate_factors(family, network.lr_factors, network.lr_zero_threshold)
    ranks = _Ranks(network, family)
    planned = []
    for place in places(parts):
        if place.component not in learning or not _is_wanted(place, network, with_resnets=ranks.convolutions):
            continue
        factor = factors.get(place.block, 1.0) if place.block is not None else 1.0
        rank, alpha = ranks.of(place)
        if rank and factor:
            planned.append(Part(place, rank, network.stored_alpha(alpha, rank), factor))
    return planned


def _is_wanted(place: Place, network: Network, with_resnets: bool) -> bool:
    if place.area == "norm":
        return network.train_norm
    if network.algorithm == "ia3":
        return re.fullmatch(IA3_LAYERS, place.name) is not None
    if network.preset:
        return place.area in PRESET_AREAS[network.preset] and not (
            place.is_convolution and network.preset == "full-lin"
        )
    return place.area in (*TRANSFORMER, *TEXT) or (with_resnets and place.area == "resnet")


class _Ranks:
    """Rank and alpha of every place: those of its block where blocks are given, else those of all."""

    def __init__(self, network: Network, family: str) -> None:
        self.network = network
        self.ranks = of_all_blocks(family, "block_dims", tuple(map(float, network.block_ranks)))
        self.alphas = of_all_blocks(family, "block_alphas", network.block_alphas)
        self.conv_ranks = of_all_blocks(family, "conv_block_dims", tuple(map(float, network.conv_block_ranks)))
        self.conv_alphas = of_all_blocks(family, "conv_block_alphas", network.conv_block_alphas)

    @property
    def convolutions(self) -> bool:
        """Whether any 3 x 3 convolution learns."""
        return bool(self.network.conv_rank or any(self.conv_ranks))

    def of(self, place: Place) -> tuple[int, float]:
        """Rank and alpha; rank 0 leaves the place alone. An alpha of 0 means the rank."""
        network = self.network
        ranks, alphas = (self.conv_ranks, self.conv_alphas) if place.is_convolution else (self.ranks, self.alphas)
        rank, alpha = (network.conv_rank, network.conv_alpha) if place.is_convolution else (network.rank, network.alpha)
        if place.block is not None:
            rank = int(ranks[place.block]) if ranks else rank
            alpha = alphas[place.block] if alphas else alpha
        return rank, alpha or float(rank)
