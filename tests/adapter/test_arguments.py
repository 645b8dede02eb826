"""What settings and arguments ask for, in kohya's and LyCORIS' words, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lora_trainer.adapter.arguments import Network, network_of
from lora_trainer.adapter.blocks import block_count, factors, rate_factors
from lora_trainer.errors import BadSettings
from lora_trainer.language import LANGUAGES
from lora_trainer.settings import NetworkSettings, OptimizerSettings


def asked(*args: str, loraplus_lr_ratio: float = 0.0, **values: Any) -> Network:
    settings = NetworkSettings(network_args=args, **{"network_dim": 8, "network_alpha": 2.0, **values})
    return network_of(settings, OptimizerSettings(loraplus_lr_ratio=loraplus_lr_ratio))


def test_types_and_their_convolutions() -> None:
    assert asked() == Network(rank=8, alpha=2.0)
    assert (asked(network_type="LoCon").conv_rank, asked(network_type="LoCon").conv_alpha) == (8, 8.0)
    assert asked(network_type="LoHa").conv_rank == 0
    assert asked(network_type="DoRA").decompose
    assert asked(network_type="IA3").preset == "ia3"
    assert asked(network_alpha=0.0).alpha == 8.0


def test_kohyas_arguments() -> None:
    network = asked(
        "conv_dim=4", "conv_alpha=1", "rank_dropout=0.1", "loraplus_unet_lr_ratio=4", loraplus_lr_ratio=16.0
    )
    assert (network.conv_rank, network.conv_alpha, network.rank_dropout) == (4, 1.0, 0.1)
    assert (network.unet_loraplus, network.text_loraplus) == (4.0, 16.0)


def test_lycoris_arguments_have_lycoris_defaults() -> None:
    network = asked("algo=lokr", "factor=8", "decompose_both=True", "use_tucker=True", "dora_wd=True")
    assert (network.algorithm, network.factor, network.decompose_both, network.tucker) == ("lokr", 8, True, True)
    assert network.decompose
    assert (network.preset, network.conv_rank, network.conv_alpha) == ("full", 8, 2.0)  # those of the linear layers
    assert asked("algo=loha", "preset=attn-mlp").conv_rank == 0


def test_an_argument_overrides_its_setting() -> None:
    assert asked("conv_dim=4", conv_dim=2).conv_rank == 4
    assert asked("rs_lora=True").stored_alpha(2.0, 16) == 8.0
    assert asked("down_lr_weight=1,0.5", down_lr_weight="cosine").lr_factors[0] == "1,0.5"


@pytest.mark.parametrize(
    ("args", "values", "key", "named"),
    [
        (("unit=4",), {}, "network_args_unknown", "unit"),
        (("use_scalar=True",), {}, "network_args_unknown", "use_scalar"),
        (("conv_dim",), {}, "network_args_form", "conv_dim"),
        (("conv_dim=four",), {}, "network_args_value", "four"),
        (("rank_dropout=1",), {}, "network_args_value", "rank_dropout"),
        (("dora_wd=perhaps",), {}, "network_args_value", "perhaps"),
        (("algo=boft",), {}, "network_algo", "boft"),
        (("preset=half",), {}, "network_preset", "half"),
        (("preset=full",), {"network_type": "IA3"}, "network_ia3", "IA3"),
        (("dora_wd=True", "wd_on_output=True"), {}, "network_output_axis", "wd_on_output"),
        ((), {"network_type": "LoHa", "loraplus_lr_ratio": 16.0}, "network_loraplus", "LoHa"),
        ((), {"dim_from_weights": True}, "network_dim_source", "network_weights"),
        ((), {"down_lr_weight": "steep"}, "network_numbers", "steep"),
        ((), {"block_dims": "4,-1"}, "network_numbers", "4,-1"),
        ((), {"base_weights": ("a",), "base_weights_multiplier": "1,2"}, "base_weights_count", "1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(args: tuple[str, ...], values: dict[str, Any], key: str, named: str) -> None:
    with pytest.raises(BadSettings) as caught:
        asked(*args, **values)
    assert caught.value.key == key
    assert all(named in caught.value.text(language) for language in LANGUAGES)


def test_shapes_are_kohyas() -> None:
    # networks/lora.py: sin(pi / 2 * i / (n - 1)), backwards for cosine
    assert factors("x", "sine", 4) == pytest.approx([0, 0.5, math.sqrt(3) / 2, 1])
    assert factors("x", "cosine+0.25", 4) == pytest.approx([1.25, 0.25 + math.sqrt(3) / 2, 0.75, 0.25])
    assert factors("x", "linear", 3) == (0, 0.5, 1)
    assert factors("x", "reverse_linear", 3) == (1, 0.5, 0)
    assert factors("x", "zeros+.5", 2) == (0.5, 0.5)
    assert factors("x", "0,0.5", 4) == (0, 0.5, 1, 1)


def test_blocks_count_as_kohya_counts_them() -> None:
    listed = rate_factors("SD1", (",".join(map(str, range(12))), "12", ",".join(map(str, range(13, 25)))), 1.0)
    assert listed == {i: 0.0 if i <= 1 else float(i) for i in range(25)}
    sdxl = rate_factors("SDXL", ("zeros", "", "0.5"), 0.0)
    assert (sorted(sdxl), sdxl[1], sdxl[9], sdxl[10], sdxl[13], sdxl[14]) == (list(range(1, 22)), 0, 0, 1, 0.5, 1)
    assert (block_count("SD2"), block_count("SDXL")) == (25, 23)
    with pytest.raises(BadSettings):
        rate_factors("SDXL", ("", "1,1,1,1", ""), 0.0)
