"""What kind of network is wanted: the dedicated settings and ``network_args`` read into one plain value.

The arguments are kohya's (``networks.lora``) and LyCORIS' (``lycoris.kohya``) words. An argument overrides the setting
of the same meaning; one that means nothing here is refused by its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lora_trainer.adapter.blocks import check_factors, numbers
from lora_trainer.errors import BadSettings
from lora_trainer.settings import NetworkSettings, OptimizerSettings

ALGORITHMS = {"lora": "lora", "locon": "lora", "loha": "loha", "lokr": "lokr", "ia3": "ia3"}
TYPES = {"LoRA": "lora", "LoCon": "lora", "LoHa": "loha", "LoKr": "lokr", "DoRA": "lora", "IA3": "ia3"}
# LyCORIS' presets; those in whose U-Nets 3 x 3 convolutions learn as well.
PRESETS = (
    *("full", "full-lin", "attn-mlp", "attn-only", "unet-only", "unet-transformer-only", "unet-convblock-only", "ia3"),
)
WITH_CONVOLUTIONS = ("full", "unet-only", "unet-convblock-only")


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network, with every default filled in."""

    algorithm: str = "lora"  # lora, loha, lokr or ia3
    decompose: bool = False  # magnitudes learnt apart (DoRA), on the input axis
    rank: int = 16
    alpha: float = 16.0  # as it is stored: the change is scaled by alpha / rank
    conv_rank: int = 0  # of 3 x 3 convolutions; 0 leaves them alone
    conv_alpha: float = 0.0
    rank_stabilized: bool = False
    preset: str = ""  # empty: kohya's targets
    train_norm: bool = False
    tucker: bool = False
    factor: int = -1
    decompose_both: bool = False
    full_matrix: bool = False
    unbalanced: bool = False
    dropout: float = 0.0
    rank_dropout: float = 0.0
    module_dropout: float = 0.0
    max_norm: float = 0.0
    lr_factors: tuple[str, str, str] = ("", "", "")  # of input, middle and output blocks
    lr_zero_threshold: float = 0.0
    block_ranks: tuple[int, ...] = ()
    block_alphas: tuple[float, ...] = ()
    conv_block_ranks: tuple[int, ...] = ()
    conv_block_alphas: tuple[float, ...] = ()
    unet_loraplus: float = 0.0  # factors on the learning rate of the matrices that begin at zero; 0: none
    text_loraplus: float = 0.0

    def stored_alpha(self, alpha: float, rank: int) -> float:
        """The alpha that a file holds: other programs scale by alpha / rank, so rank stabilisation (alpha / √rank,
        arXiv 2312.03732) is written into it."""
        return alpha * math.sqrt(rank) if self.rank_stabilized else alpha


def network_of(settings: NetworkSettings, optimizer: OptimizerSettings) -> Network:
    """The network that the settings ask for. Raises ``BadSettings`` naming what cannot be."""
    args = parse_args(settings.network_args)
    algorithm = ALGORITHMS[args["algo"]] if "algo" in args else TYPES[settings.network_type]
    rank = settings.network_dim
    alpha = settings.network_alpha or float(rank)
    default = "ia3" if algorithm == "ia3" else "full" if "algo" in args else ""
    preset = args.get("preset", default)
    all_layers = settings.network_type == "LoCon" or ("algo" in args and preset in WITH_CONVOLUTIONS)
    conv_rank = args.get("conv_dim", settings.conv_dim) or (rank if all_layers else 0)
    conv_alpha = args.get("conv_alpha", settings.conv_alpha) or (alpha if "algo" in args else float(conv_rank))

    def value(name: str) -> Any:
        return args.get(name, getattr(settings, name))

    dims, alphas, conv_dims, conv_alphas = (
        numbers(name, value(name)) for name in ("block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas")
    )
    both = args.get("loraplus_lr_ratio", optimizer.loraplus_lr_ratio)
    network = Network(
        algorithm=algorithm,
        decompose=args.get("dora_wd", settings.network_type == "DoRA"),
        rank=rank,
        alpha=alpha,
        conv_rank=conv_rank,
        conv_alpha=conv_alpha,
        rank_stabilized=args.get("rs_lora", settings.rank_stabilized),
        preset=preset,
        tucker=any(args.get(name, False) for name in ("use_tucker", "use_cp", "use_conv_cp")),
        factor=args.get("factor", -1),
        **{name: args.get(name, False) for name in ("train_norm", "decompose_both", "full_matrix")},
        unbalanced=args.get("unbalanced_factorization", False),
        dropout=args.get("dropout", settings.network_dropout),
        rank_dropout=value("rank_dropout"),
        module_dropout=value("module_dropout"),
        max_norm=settings.scale_weight_norms,
        lr_factors=(value("down_lr_weight"), value("mid_lr_weight"), value("up_lr_weight")),
        lr_zero_threshold=args.get("block_lr_zero_threshold", 0.0),
        block_ranks=tuple(map(int, dims)),
        block_alphas=alphas,
        conv_block_ranks=tuple(map(int, conv_dims)),
        conv_block_alphas=conv_alphas,
        unet_loraplus=args.get("loraplus_unet_lr_ratio", both),
        text_loraplus=args.get("loraplus_text_encoder_lr_ratio", both),
    )
    _check(settings, network, args)
    return network


def _check(settings: NetworkSettings, network: Network, args: Mapping[str, Any]) -> None:
    """Refuse what cannot go together."""
    for name, factors in zip(("down_lr_weight", "mid_lr_weight", "up_lr_weight"), network.lr_factors, strict=True):
        check_factors(name, factors)
    if network.algorithm == "ia3" and (network.preset != "ia3" or network.decompose):
        raise BadSettings("network_ia3", field="network_args")
    if args.get("wd_on_output", False):
        raise BadSettings("network_output_axis", field="network_args")
    if (network.unet_loraplus or network.text_loraplus) and network.algorithm != "lora":
        raise BadSettings("network_loraplus", field="loraplus_lr_ratio", kind=settings.network_type)
    if settings.dim_from_weights and not settings.network_weights:
        raise BadSettings("network_dim_source", field="dim_from_weights")
    if len(numbers("base_weights_multiplier", settings.base_weights_multiplier)) > len(settings.base_weights):
        raise BadSettings("base_weights_count", field="base_weights_multiplier", count=len(settings.base_weights))


def parse_args(texts: tuple[str, ...]) -> dict[str, Any]:
    """``name=value`` texts as values of the kind that each name has. Raises ``BadSettings`` on what is not known."""
    found = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise BadSettings("network_args_form", field="network_args", text=text)
        if name not in ARGUMENTS:
            raise BadSettings("network_args_unknown", field="network_args", name=name)
        try:
            found[name] = ARGUMENTS[name](value)
        except (ValueError, KeyError) as error:
            raise BadSettings("network_args_value", field="network_args", name=name, value=value) from error
    return found


def _flag(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "none": False}[text.lower()]


def _algorithm(text: str) -> str:
    if text.lower() not in ALGORITHMS:
        raise BadSettings("network_algo", field="network_args", algo=text, choices=", ".join(ALGORITHMS))
    return text.lower()


def _preset(text: str) -> str:
    if text not in PRESETS:
        raise BadSettings("network_preset", field="network_args", preset=text, choices=", ".join(PRESETS))
    return text


def _count(text: str) -> int:
    if (number := int(text)) < 0:
        raise ValueError(text)
    return number


def _amount(text: str) -> float:
    if not (math.isfinite(number := float(text)) and number >= 0):
        raise ValueError(text)
    return number


def _share(text: str) -> float:
    if (number := _amount(text)) >= 1:
        raise ValueError(text)
    return number


NAMES: tuple[tuple[Callable[[str], Any], str], ...] = (
    (_algorithm, "algo"),
    (_preset, "preset"),
    (int, "factor"),
    (_count, "conv_dim"),
    (_amount, "conv_alpha block_lr_zero_threshold"),
    (_amount, "loraplus_lr_ratio loraplus_unet_lr_ratio loraplus_text_encoder_lr_ratio"),
    (_share, "dropout rank_dropout module_dropout"),
    (_flag, "use_tucker use_cp use_conv_cp rs_lora train_norm dora_wd wd_on_output"),
    (_flag, "decompose_both full_matrix unbalanced_factorization"),
    (str, "down_lr_weight mid_lr_weight up_lr_weight"),
    (str, "block_dims block_alphas conv_block_dims conv_block_alphas"),
)
ARGUMENTS = {name: kind for kind, names in NAMES for name in names.split()}
