"""Borrowed weights: shared storage, equal outputs, refusals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from lora_trainer.checkpoint.adopt import Parts, adopt
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.errors import BadCheckpoint
from tests.tiny import TEXT_WIDTH, modules, write_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adopt")


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Checkpoint:
    return open_checkpoint(write_checkpoint(folder))


@pytest.fixture(scope="module")
def parts(checkpoint: Checkpoint, folder: Path) -> Parts:
    return adopt(checkpoint, folder)


def test_all_storage_is_shared_with_the_source(checkpoint: Checkpoint, parts: Parts) -> None:
    owned = {tensor.untyped_storage().data_ptr() for tensor in checkpoint.tensors.values()}
    for module in (parts.unet, parts.vae, parts.text_encoder):
        borrowed = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
        assert borrowed
        assert borrowed <= owned


def test_nothing_needs_gradients(parts: Parts) -> None:
    assert not any(p.requires_grad for m in (parts.unet, parts.vae, parts.text_encoder) for p in m.parameters())


def test_outputs_equal_the_modules_that_the_checkpoint_was_made_of(parts: Parts) -> None:
    unet, vae, text = (module.half().float() for module in modules())  # the file is fp16
    latents, times, context = torch.randn(2, 4, 8, 8), torch.tensor([3, 900]), torch.randn(2, 77, TEXT_WIDTH)
    tokens = torch.randint(0, 49408, (2, 77))
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    ours = [module.float() for module in (parts.unet, parts.vae, parts.text_encoder)]
    with torch.no_grad():
        torch.testing.assert_close(
            ours[0](latents, times, encoder_hidden_states=context).sample,
            unet(latents, times, encoder_hidden_states=context).sample,
        )
        torch.testing.assert_close(ours[1].encode(pixels).latent_dist.mean, vae.encode(pixels).latent_dist.mean)
        torch.testing.assert_close(ours[1].decode(latents).sample, vae.decode(latents).sample)
        torch.testing.assert_close(ours[2](tokens).last_hidden_state, text(tokens).last_hidden_state)


def test_the_sizes_told_by_the_weights_are_those_of_the_yaml(tmp_path: Path, parts: Parts) -> None:
    with_yaml = adopt(open_checkpoint(write_checkpoint(tmp_path, with_yaml=True)), tmp_path)
    for name in (
        "block_out_channels",
        "layers_per_block",
        "cross_attention_dim",
        "attention_head_dim",
        "down_block_types",
    ):
        assert list(_listed(with_yaml.unet.config[name])) == list(_listed(parts.unet.config[name])), name
    for name in ("block_out_channels", "layers_per_block", "latent_channels"):
        assert with_yaml.vae.config[name] == parts.vae.config[name], name
    assert with_yaml.scale_factor == parts.scale_factor == 0.18215


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def test_the_schedule_is_stable_diffusions(parts: Parts) -> None:
    # Published values of SD1's schedule: first and last alpha-bar, and the largest sigma.
    assert float(parts.noise.alphas_cumprod[0]) == pytest.approx(0.99915, abs=1e-6)
    assert float(parts.noise.alphas_cumprod[-1]) == pytest.approx(0.0046601, abs=1e-6)
    assert float(parts.noise.sigmas()[-1]) == pytest.approx(14.6146, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"model.diffusion_model.joint_blocks.0.x.weight": (1,)}, "checkpoint_sd3"),
        ({"model.diffusion_model.input_blocks.0.0.weight": (32, 9, 3, 3)}, "checkpoint_inpainting"),
        ({"conditioner.embedders.0.x": (1,)}, "checkpoint_refiner"),
        ({"conditioner.embedders.0.x": (1,), "conditioner.embedders.1.x": (1,)}, "checkpoint_sdxl"),
        ({"cond_stage_model.model.transformer.x": (1,)}, "checkpoint_sd2"),
    ],
)
def test_unsupported_kinds_are_named(
    checkpoint: Checkpoint, tmp_path: Path, change: dict[str, tuple[int, ...]], key: str
) -> None:
    tensors = {**checkpoint.tensors, **{name: torch.zeros(shape) for name, shape in change.items()}}
    with pytest.raises(BadCheckpoint) as caught:
        adopt(dataclasses.replace(checkpoint, tensors=tensors), tmp_path)
    assert caught.value.key == key
    assert caught.value.text("zh") != caught.value.text("en")


def test_no_unet_or_no_vae_is_said(checkpoint: Checkpoint, tmp_path: Path) -> None:
    for part, key in (("model.diffusion_model.", "checkpoint_other"), ("first_stage_model.", "checkpoint_incomplete")):
        tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(part)}
        with pytest.raises(BadCheckpoint) as caught:
            adopt(dataclasses.replace(checkpoint, tensors=tensors), tmp_path)
        assert caught.value.key == key


def test_files_that_are_no_safetensors(tmp_path: Path) -> None:
    pickle, text = tmp_path / "model.ckpt", tmp_path / "model.safetensors"
    pickle.write_bytes(b"\x80\x02")
    text.write_text("not a checkpoint at all", encoding="utf-8")
    for path, key in (
        (pickle, "checkpoint_pickle"),
        (text, "checkpoint_unreadable"),
        (tmp_path / "no.safetensors", "checkpoint_missing"),
    ):
        with pytest.raises(BadCheckpoint) as caught:
            open_checkpoint(path)
        assert caught.value.key == key
