"""Settings of the network that learns."""

from __future__ import annotations

from dataclasses import dataclass

from lora_trainer.settings.field import GIVEN, Group, limited, shown

NETWORK_TYPES = ("LoRA", "LoCon", "LoHa", "LoKr", "DoRA", "IA3")
RANKED = {"network_type": ["LoRA", "LoCon", "LoHa", "LoKr", "DoRA"]}  # all but IA3
CONVOLVED = {"network_type": ["LoCon", "LoHa", "LoKr", "DoRA"]}


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSettings(Group):
    """The LoRA itself."""

    network_type: str = limited("LoRA", choices=NETWORK_TYPES)
    """Kind of network: LoRA is the standard; LoCon also changes convolutions, and the others are LyCORIS' variants."""
    network_dim: int = shown(limited(16, low=1, high=1024, basic=True), needs=RANKED)
    """Rank: how much detail the LoRA can hold, and how large its file is."""
    network_alpha: float = shown(limited(8.0, low=0.0, high=1024.0), needs=RANKED)
    """The LoRA is scaled by alpha / rank; lower values damp learning. 0 means the same as the rank."""
    conv_dim: int = shown(limited(0, low=0, high=1024), needs=CONVOLVED)
    """Rank in 3 × 3 convolutions; 0 leaves them alone, except that a LoCon takes the rank above."""
    conv_alpha: float = shown(limited(0.0, low=0.0, high=1024.0), needs=CONVOLVED)
    """Alpha in 3 × 3 convolutions; 0 means the same as their rank."""
    network_args: tuple[str, ...] = ()
    """Further arguments as kohya's scripts and LyCORIS write them, such as `factor=8`."""
    network_dropout: float = limited(0.0, low=0.0, high=0.99)
    """How often each input of a layer's LoRA is left out in a step."""
    rank_dropout: float = shown(limited(0.0, low=0.0, high=0.99), needs=RANKED)
    """How often each rank of a layer's LoRA is left out in a step."""
    module_dropout: float = limited(0.0, low=0.0, high=0.99)
    """How often a whole layer's LoRA is left out in a step."""
    rank_stabilized: bool = shown(False, needs=RANKED)
    """Scale by alpha over the root of the rank instead of the rank, so that high ranks learn as much (rsLoRA)."""
    scale_weight_norms: float = limited(0.0, low=0.0, high=100.0)
    """Shrink a layer's change back to this norm whenever it grows beyond; 1 is a start, 0 means no limit."""
    down_lr_weight: str = ""
    """Factors on the learning rate of the U-Net's input blocks, such as `0, 0.5, 1`, or a shape such as `cosine`."""
    mid_lr_weight: str = ""
    """Factors on the learning rate of the U-Net's middle blocks."""
    up_lr_weight: str = ""
    """Factors on the learning rate of the U-Net's output blocks."""
    block_dims: str = ""
    """Rank of each U-Net block: 25 numbers for SD1 and SD2, 23 for SDXL, in kohya's order; 0 leaves a block alone."""
    block_alphas: str = shown("", needs={"block_dims": [GIVEN]})
    """Alpha of each of those blocks."""
    conv_block_dims: str = shown("", needs=CONVOLVED)
    """Rank of each of those blocks' 3 × 3 convolutions."""
    conv_block_alphas: str = shown("", needs={**CONVOLVED, "conv_block_dims": [GIVEN]})
    """Alpha of each of those blocks' 3 × 3 convolutions."""
    network_weights: str = ""
    """LoRA file to go on from, instead of beginning with an empty one."""
    dim_from_weights: bool = shown(False, needs={"network_weights": [GIVEN]})
    """Take rank and alpha from the LoRA file to go on from."""
    base_weights: tuple[str, ...] = ()
    """LoRA files that are merged into the model for the time of the training; the model itself stays as it is."""
    base_weights_multiplier: str = shown("", needs={"base_weights": [{"not": ()}]})
    """Weight of each of those LoRA files, such as `1, 0.5`; 1 where none is given."""
