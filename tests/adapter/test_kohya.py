"""LoRA files: kohya's names and numbers, and what does not fit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from lora_trainer.adapter.kohya import read_lora, write_lora
from lora_trainer.adapter.layers import layers_of, load_lora, state_of
from lora_trainer.errors import BadSettings
from tests.adapter.models import FAMILIES, network, outputs, parts_of, with_adapter


# SD1 and SD2 as kohya logs them. SDXL has 722 linear ones, with 2 and 10 transformer layers where these have 1 and 2.
@pytest.mark.parametrize(("family", "linear", "convolutional"), [("SD1", 192, 86), ("SD2", 192, 86), ("SDXL", 192, 66)])
def test_as_many_modules_as_kohya_trains(family: str, linear: int, convolutional: int) -> None:
    for kind, count in (("LoRA", linear), ("LoCon", linear + convolutional)):
        parts = parts_of(FAMILIES[family])
        with_adapter(parts, network(kind))
        modules = {name.partition(".")[0] for name in state_of(parts, torch.float16)}
        assert sum(name.startswith("lora_unet_") for name in modules) == count
        assert sum(name.startswith("lora_te") for name in modules) == 6 * 2 * len(parts.text_encoders)


def test_kohyas_names() -> None:
    names = {}
    for family in FAMILIES:
        parts = parts_of(FAMILIES[family])
        with_adapter(parts, network("LoCon"))
        names[family] = state_of(parts, torch.float16)
    for name, shape in (
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_up.weight", (16, 4)),
        ("lora_unet_down_blocks_1_attentions_1_transformer_blocks_0_attn1_to_out_0.lora_down.weight", (4, 32)),
        ("lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_0_proj.lora_up.weight", (128, 4)),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", (4, 48, 1, 1)),
        ("lora_unet_down_blocks_0_downsamplers_0_conv.lora_down.weight", (4, 16, 3, 3)),
        ("lora_unet_up_blocks_3_resnets_0_conv_shortcut.lora_up.weight", (16, 4, 1, 1)),
        ("lora_unet_mid_block_resnets_1_time_emb_proj.lora_up.weight", (48, 4)),
        ("lora_te_text_model_encoder_layers_1_self_attn_out_proj.lora_up.weight", (32, 4)),
    ):
        assert names["SD1"][name].shape == shape, name
    assert float(names["SD1"]["lora_te_text_model_encoder_layers_0_mlp_fc1.alpha"]) == 2.0
    assert names["SD2"]["lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"].shape == (4, 48)
    for name in (
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.alpha",
        "lora_unet_middle_block_1_proj_in.alpha",
        "lora_unet_output_blocks_0_1_transformer_blocks_1_ff_net_2.alpha",
        "lora_unet_input_blocks_1_0_in_layers_2.alpha",
        "lora_unet_input_blocks_3_0_op.alpha",
        "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.alpha",
        "lora_te2_text_model_encoder_layers_1_mlp_fc2.alpha",
    ):
        assert name in names["SDXL"], name


def test_the_hash_is_that_of_the_body(tmp_path: Path) -> None:
    path, parts = tmp_path / "x.safetensors", parts_of(FAMILIES["SD1"])
    with_adapter(parts, network("LoRA"))
    write_lora(path, state_of(parts, torch.float16), {"ss_network_dim": "4"})
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert metadata["sshs_model_hash"] == hashlib.sha256(content[8 + length :]).hexdigest()
    assert all(isinstance(value, str) for value in metadata.values())
    assert not list(tmp_path.glob("*.tmp"))


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path, parts = tmp_path / "other.safetensors", parts_of(FAMILIES["SD1"])
    with_adapter(parts, network("LoRA"))
    before = outputs(parts)
    place = "lora_unet_mid_block_attentions_0_proj_in"
    for tensors, key in (
        ({"lora_unet_nowhere.lora_down.weight": (4, 8), "lora_unet_nowhere.lora_up.weight": (8, 4)}, "lora_misfit"),
        ({f"{place}.lora_down.weight": (4, 8), f"{place}.lora_up.weight": (8, 4)}, "lora_misfit"),
        ({f"{place}.hada_w1_a": (64, 4)}, "lora_foreign"),
        ({"something.weight": (2,)}, "lora_foreign"),
    ):
        write_lora(path, {name: torch.zeros(shape) for name, shape in tensors.items()}, {})
        with pytest.raises(BadSettings) as caught:
            load_lora(parts, path)
        assert caught.value.key == key
    path.write_bytes(b"nonsense")
    with pytest.raises(BadSettings) as caught:
        read_lora(path)
    assert caught.value.key == "lora_unreadable"
    assert layers_of(parts.unet)  # the one before is still there
    assert all(torch.equal(a, b) for a, b in zip(outputs(parts), before, strict=True))
