"""LoRA files: kohya's names and numbers, a round trip, and what does not fit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from lora_trainer.adapter.inject import TEXT_TARGETS, UNET_TARGETS, eject, inject, lora_layers, weighted
from lora_trainer.adapter.kohya import load_lora, read_lora, state_of, write_lora
from lora_trainer.checkpoint.adopt import Parts, adopt
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.errors import BadSettings
from lora_trainer.settings import NetworkSettings
from tests.tiny import TEXT_WIDTH, write_checkpoint


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("kohya"))


@pytest.fixture
def parts(source: Path) -> Parts:
    parts = adopt(open_checkpoint(source), source.parent)
    for module in (parts.unet, parts.vae, parts.text_encoder):
        module.float()
    return parts


def with_lora(parts: Parts, rank: int = 4, alpha: float = 2.0) -> Parts:
    """Both networks with a LoRA that does something."""
    network = NetworkSettings(network_dim=rank, network_alpha=alpha)
    torch.manual_seed(rank)
    for module, targets in ((parts.unet, UNET_TARGETS), (parts.text_encoder, TEXT_TARGETS)):
        for parameter in inject(module, targets, network, seed=1):
            torch.nn.init.normal_(parameter, std=0.2)
    return parts


def unet_output(parts: Parts) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn((1, 4, 8, 8), generator=generator)
    context = torch.randn((1, 77, TEXT_WIDTH), generator=generator)
    with torch.no_grad():
        return parts.unet(latents, torch.tensor([500]), encoder_hidden_states=context).sample


def test_kohyas_names_and_number_of_modules(parts: Parts) -> None:
    state = state_of(with_lora(parts), torch.float16)
    modules = {name.rpartition(".lora_")[0] or name.rpartition(".")[0] for name in state}
    unet = {name for name in modules if name.startswith("lora_unet_")}
    # kohya trains 192 modules of SD1's 16 transformer blocks (proj_in, proj_out, 8 attention and 2 feed-forward
    # linears each),
    # and 6 of every text encoder layer (reference: 72 of 12).
    assert len(unet) == 192
    assert len(modules - unet) == 6 * 2
    for name in (
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
        "lora_unet_down_blocks_1_attentions_1_transformer_blocks_0_attn1_to_out_0",
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_0_proj",
        "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_2",
        "lora_unet_up_blocks_1_attentions_2_proj_in",
        "lora_te_text_model_encoder_layers_1_self_attn_out_proj",
        "lora_te_text_model_encoder_layers_0_mlp_fc1",
    ):
        assert name in modules, name
        assert {f"{name}.{key}" for key in ("lora_down.weight", "lora_up.weight", "alpha")} <= set(state)
    assert state["lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"].shape == (4, 64, 1, 1)
    assert float(state["lora_te_text_model_encoder_layers_0_mlp_fc1.alpha"]) == 2.0


def test_the_weights_are_applied_as_kohya_defines_them(parts: Parts) -> None:
    before = unet_output(parts)
    with_lora(parts)
    with_layers = unet_output(parts)
    deltas = {
        name: layer.scaling["default"]
        * (layer.lora_B["default"].weight.flatten(1) @ layer.lora_A["default"].weight.flatten(1))
        for name, layer in lora_layers(parts.unet).items()
    }
    eject(parts.unet)
    torch.testing.assert_close(unet_output(parts), before, rtol=0, atol=0)
    for name, delta in deltas.items():  # W + alpha / rank * up @ down, in a copy
        layer = parts.unet.get_submodule(name)
        layer.weight = torch.nn.Parameter(layer.weight + delta.reshape(layer.weight.shape))
    torch.testing.assert_close(unet_output(parts), with_layers, rtol=1e-3, atol=1e-3)  # sums in another order
    assert (with_layers - before).abs().max() > 0.01


def test_a_file_gives_back_what_was_written(parts: Parts, tmp_path: Path) -> None:
    with_lora(parts)
    expected, path = unet_output(parts), tmp_path / "my lora-000001.safetensors"
    write_lora(path, state_of(parts, torch.float32), {"ss_output_name": "my lora-000001"})
    eject(parts.unet)
    eject(parts.text_encoder)
    load_lora(parts, path)
    torch.testing.assert_close(unet_output(parts), expected)
    with weighted(parts, 0.0):
        without = unet_output(parts)
    eject(parts.unet)
    torch.testing.assert_close(unet_output(parts), without)


def test_a_second_file_replaces_the_first_whatever_its_rank(parts: Parts, tmp_path: Path) -> None:
    with_lora(parts, rank=2)
    expected, path = unet_output(parts), tmp_path / "a.safetensors"
    write_lora(path, state_of(parts, torch.float32), {})
    eject(parts.unet)
    eject(parts.text_encoder)
    with_lora(parts, rank=8, alpha=1.0)
    load_lora(parts, path)
    torch.testing.assert_close(unet_output(parts), expected)


def test_the_hash_is_that_of_the_body(parts: Parts, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_lora(path, state_of(with_lora(parts), torch.float16), {"ss_network_dim": "4"})
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert metadata["sshs_model_hash"] == hashlib.sha256(content[8 + length :]).hexdigest()
    assert all(isinstance(value, str) for value in metadata.values())
    assert not list(tmp_path.glob("*.tmp"))


def test_the_same_seed_gives_the_same_start(parts: Parts, source: Path) -> None:
    network = NetworkSettings(network_dim=4)
    first = inject(parts.unet, UNET_TARGETS, network, seed=7)
    torch.rand(5)  # other users of the global generator change nothing
    second = inject(adopt(open_checkpoint(source), source.parent).unet, UNET_TARGETS, network, seed=7)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert sum(float(p.abs().sum()) for p in first) > 0


def test_files_that_do_not_fit_are_named(parts: Parts, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    for tensors, key in (
        (
            {
                "lora_unet_nowhere.lora_down.weight": torch.zeros(4, 8),
                "lora_unet_nowhere.lora_up.weight": torch.zeros(8, 4),
            },
            "lora_misfit",
        ),
        ({"something.weight": torch.zeros(2)}, "lora_foreign"),
    ):
        write_lora(path, tensors, {})
        with pytest.raises(BadSettings) as caught:
            load_lora(parts, path)
        assert caught.value.key == key
    path.write_bytes(b"nonsense")
    with pytest.raises(BadSettings) as caught:
        read_lora(path)
    assert caught.value.key == "lora_unreadable"
