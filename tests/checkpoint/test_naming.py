"""kohya's names, counts and block numbers of the full-size models, made without their weights."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from lora_trainer.checkpoint import openclip
from lora_trainer.checkpoint.family import SD1, SD2, SDXL, Family
from tests.openclip import OpenClip

CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
UNETS: dict[str, dict[str, object]] = {
    "SD1": {"down": (CROSS,) * 3 + (PLAIN,), "cross_attention_dim": 768, "attention_head_dim": 8},
    "SD2": {"down": (CROSS,) * 3 + (PLAIN,), "cross_attention_dim": 1024, "use_linear_projection": True},
    "SDXL": {
        "down": (PLAIN, CROSS, CROSS),
        "block_out_channels": (320, 640, 1280),
        "transformer_layers_per_block": (1, 2, 10),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
TEXTS = {"SD1": [(12, 768)], "SD2": [(23, 1024)], "SDXL": [(12, 768), (32, 1280)]}


def full_unet(family: Family) -> UNet2DConditionModel:
    arguments = dict(UNETS[family.name])
    down: tuple[str, ...] = arguments.pop("down")  # type: ignore[assignment]
    up = tuple(name.replace("Down", "Up") for name in reversed(down))
    with torch.device("meta"):
        return UNet2DConditionModel(down_block_types=down, up_block_types=up, **arguments)


def layers(unet: UNet2DConditionModel) -> list[str]:
    """Names of the linear layers and convolutions inside the blocks, of which kohya's LoCon learns all."""
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    named = [name for name, module in unet.named_modules() if isinstance(module, kinds)]
    return [name for name in named if "block" in name]


@pytest.mark.parametrize(
    ("family", "lora", "locon"), [(SD1, 192, 278), (SD2, 192, 278), (SDXL, 722, 788)], ids=lambda value: str(value)[:20]
)
def test_kohyas_counts_of_unet_modules(family: Family, lora: int, locon: int) -> None:
    names = layers(full_unet(family))
    assert len({family.unet_key(name) for name in names}) == locon
    assert sum("attentions" in name for name in names) == lora


@pytest.mark.parametrize(("family", "count"), [(SD1, 72), (SD2, 138), (SDXL, 264)], ids=lambda value: str(value)[:20])
def test_kohyas_counts_of_text_encoder_modules(family: Family, count: int) -> None:
    total = 0
    for depth, width in TEXTS[family.name]:
        sizes = {"hidden_size": width, "intermediate_size": 4 * width, "num_attention_heads": width // 64}
        with torch.device("meta"):
            module = CLIPTextModel(CLIPTextConfig(num_hidden_layers=depth, **sizes))
        total += sum(isinstance(layer, torch.nn.Linear) for layer in module.modules())
    assert total == count


def test_the_last_layer_of_sd2s_encoder_is_left_out() -> None:
    tower = OpenClip(64, 24, 64).state_dict()
    named = openclip.transformers_names(tower, SD2.encoders[0].unused, with_projection=False)
    numbers = {int(match.group(1)) for match in map(re.compile(r".*layers\.(\d+)\.").match, named) if match}
    assert numbers == set(range(23))


@pytest.mark.parametrize(
    ("module", "key"),
    [
        ("down_blocks.1.attentions.0.proj_in", "input_blocks_4_1_proj_in"),
        ("down_blocks.2.attentions.1.transformer_blocks.9.ff.net.2", "input_blocks_8_1_transformer_blocks_9_ff_net_2"),
        ("down_blocks.0.resnets.1.conv1", "input_blocks_2_0_in_layers_2"),
        ("down_blocks.1.resnets.0.conv_shortcut", "input_blocks_4_0_skip_connection"),
        ("down_blocks.1.downsamplers.0.conv", "input_blocks_6_0_op"),
        ("mid_block.attentions.0.transformer_blocks.0.norm1", "middle_block_1_transformer_blocks_0_norm1"),
        ("mid_block.resnets.1.time_emb_proj", "middle_block_2_emb_layers_1"),
        ("up_blocks.0.attentions.2.proj_out", "output_blocks_2_1_proj_out"),
        ("up_blocks.1.upsamplers.0.conv", "output_blocks_5_2_conv"),
        ("up_blocks.2.resnets.0.conv2", "output_blocks_6_0_out_layers_3"),
        ("add_embedding.linear_2", "label_emb_0_2"),
        ("conv_out", "out_2"),
    ],
)  # fmt: skip
def test_sdxls_names_are_ldms(module: str, key: str) -> None:
    assert SDXL.unet_key(module) == key
    assert SD1.unet_key(module) == module.replace(".", "_")


def test_block_numbers_of_sd1_and_sd2() -> None:
    for family in (SD1, SD2):
        numbers = Counter(family.blocks(name) for name in layers(full_unet(family)))
        assert set(numbers) == set(range(1, 25))
    expected = {
        "conv_in": 0,
        "down_blocks.0.attentions.0.proj_in": 1,
        "down_blocks.0.downsamplers.0.conv": 3,
        "down_blocks.3.resnets.1.conv1": 11,
        "mid_block.attentions.0.proj_in": 12,
        "up_blocks.0.resnets.0.conv1": 13,
        "up_blocks.1.upsamplers.0.conv": 18,
        "up_blocks.3.attentions.2.proj_out": 24,
        "conv_out": 24,
    }
    assert {name: SD1.blocks(name) for name in expected} == expected


def test_block_numbers_of_sdxl() -> None:
    assert {SDXL.blocks(name) for name in layers(full_unet(SDXL))} == set(range(2, 22))
    expected = {
        "time_embedding.linear_1": 0,
        "conv_in": 1,
        "down_blocks.0.resnets.0.conv1": 2,
        "down_blocks.2.attentions.1.proj_in": 9,
        "mid_block.resnets.0.conv1": 10,
        "mid_block.attentions.0.proj_in": 11,
        "mid_block.resnets.1.conv1": 12,
        "up_blocks.0.attentions.0.proj_in": 13,
        "up_blocks.2.resnets.2.conv1": 21,
        "conv_norm_out": 22,
    }
    assert {name: SDXL.blocks(name) for name in expected} == expected


def test_a_foreign_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="no module"):
        SDXL.unet_key("encoder.layers.0")
