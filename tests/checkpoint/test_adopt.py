"""Borrowed weights: shared storage, equal outputs, refusals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from lora_trainer.checkpoint.adopt import Parts, adopt
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.checkpoint.text import Text
from lora_trainer.checkpoint.unet import predict
from lora_trainer.errors import BadCheckpoint
from tests.openclip import OpenClip
from tests.tiny import FAMILIES, POOLED, TEXT_WIDTH, modules_of, write_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adopt")


@pytest.fixture(scope="module", params=FAMILIES)
def checkpoint(folder: Path, request: pytest.FixtureRequest) -> Checkpoint:
    return open_checkpoint(write_checkpoint(folder / request.param, family=request.param))


@pytest.fixture(scope="module")
def parts(checkpoint: Checkpoint, folder: Path) -> Parts:
    return adopt(checkpoint, folder)


@pytest.fixture(scope="module")
def sd1(folder: Path) -> Checkpoint:
    return open_checkpoint(write_checkpoint(folder / "SD1"))


def test_all_storage_is_shared_with_the_source(checkpoint: Checkpoint, parts: Parts) -> None:
    owned = {tensor.untyped_storage().data_ptr() for tensor in checkpoint.tensors.values()}
    assert len(parts.modules) == (4 if parts.family.name == "SDXL" else 3)
    for module in parts.modules:
        borrowed = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
        assert borrowed
        assert borrowed <= owned


def test_nothing_needs_gradients(parts: Parts) -> None:
    assert not any(p.requires_grad for module in parts.modules for p in module.parameters())
    assert not any(p.is_meta for module in parts.modules for p in (*module.parameters(), *module.buffers()))


def test_outputs_equal_the_modules_that_the_checkpoint_was_made_of(checkpoint: Checkpoint, folder: Path) -> None:
    parts = adopt(checkpoint, folder)
    unet, vae, texts = modules_of(parts.family.name)
    for module in (unet, vae, *texts):
        module.half().float()  # the file is fp16
    for module in parts.modules:
        module.float()
    sdxl = parts.family.sized
    text = Text(torch.randn(2, 77, TEXT_WIDTH * (1 + sdxl)), torch.randn(2, POOLED) if sdxl else None)
    sizes = torch.tensor([[1024, 768, 0, 32, 1024, 704], [512, 512, 64, 0, 768, 768]])
    latents, times = torch.randn(2, 4, 8, 8), torch.tensor([3, 900])
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    added = {"text_embeds": text.pooled, "time_ids": sizes} if sdxl else None
    with torch.no_grad():
        torch.testing.assert_close(
            predict(parts, latents, times, text, sizes if sdxl else None),
            unet(latents, times, encoder_hidden_states=text.hidden, added_cond_kwargs=added).sample,
        )
        torch.testing.assert_close(parts.vae.encode(pixels).latent_dist.mean, vae.encode(pixels).latent_dist.mean)
        torch.testing.assert_close(parts.vae.decode(latents).sample, vae.decode(latents).sample)
        for encoder, theirs in zip(parts.text_encoders, texts, strict=True):
            compare_text(encoder.module, theirs, encoder.reading.unused)


def compare_text(ours: torch.nn.Module, theirs: torch.nn.Module, unused: int) -> None:
    ids = torch.randint(1, 49406, (2, 77))
    ids[0, 10], ids[1, 76] = 49407, 49407
    output = ours(ids, output_hidden_states=True)
    if not isinstance(theirs, OpenClip):
        torch.testing.assert_close(output.last_hidden_state, theirs(ids).last_hidden_state)
        return
    states = theirs.states(ids)
    assert len(output.hidden_states) == len(states) - unused
    for mine, other in zip(output.hidden_states, states, strict=False):
        torch.testing.assert_close(mine, other)
    if not unused:
        torch.testing.assert_close(output.text_embeds, theirs.pooled(ids))


def test_families_are_told(parts: Parts) -> None:
    facts = {
        "SD1": ("sd_v1", "SD1", "stable-diffusion-v1/lora", 0.18215, ("lora_te",)),
        "SD2": ("sd_v2", "SD2", "stable-diffusion-v2-512/lora", 0.18215, ("lora_te",)),
        "SDXL": ("sdxl_base_v1-0", "SDXL", "stable-diffusion-xl-v1-base/lora", 0.13025, ("lora_te1", "lora_te2")),
    }
    family, prefixes = parts.family, tuple(encoder.prefix for encoder in parts.text_encoders)
    told = (family.base_model_version, family.card_version, family.architecture, parts.scale_factor, prefixes)
    assert told == facts[family.name]


def test_the_call_of_an_sdxl_without_sizes_is_an_error(parts: Parts) -> None:
    if not parts.family.sized:
        pytest.skip("not SDXL")
    with pytest.raises(ValueError, match="sizes"):
        predict(parts, torch.zeros(1, 4, 8, 8), torch.tensor([1]), Text(torch.zeros(1, 77, 128)), None)


def test_the_sizes_told_by_the_weights_are_those_of_the_yaml(tmp_path: Path, sd1: Checkpoint) -> None:
    with_yaml = adopt(open_checkpoint(write_checkpoint(tmp_path, with_yaml=True)), tmp_path)
    without = adopt(sd1, tmp_path)
    assert dict(with_yaml.unet.config) == dict(without.unet.config)
    assert with_yaml.scale_factor == without.scale_factor == 0.18215


def test_what_only_a_yaml_tells_of_an_sdxl(tmp_path: Path) -> None:
    parts = adopt(open_checkpoint(write_checkpoint(tmp_path, with_yaml=True, family="SDXL")), tmp_path)
    assert parts.scale_factor == 0.2
    assert tuple(parts.unet.config["attention_head_dim"]) == (1, 2, 4)
    assert [encoder.reading.layer for encoder in parts.text_encoders] == [-3, -2]  # the first of three layers
    assert parts.noise.prediction_type == "v_prediction"


def test_the_schedule_is_stable_diffusions(parts: Parts) -> None:
    # Published values of SD's schedule: first and last alpha-bar, and the largest sigma.
    assert float(parts.noise.alphas_cumprod[0]) == pytest.approx(0.99915, abs=1e-6)
    assert float(parts.noise.alphas_cumprod[-1]) == pytest.approx(0.0046601, abs=1e-6)
    assert float(parts.noise.sigmas()[-1]) == pytest.approx(14.6146, abs=1e-3)
    assert parts.noise.prediction_type == "epsilon"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"model.diffusion_model.joint_blocks.0.x.weight": (1,)}, "checkpoint_sd3"),
        ({"model.diffusion_model.input_blocks.0.0.weight": (32, 9, 3, 3)}, "checkpoint_inpainting"),
        ({"conditioner.embedders.0.model.x": (1,)}, "checkpoint_refiner"),
        ({"model.diffusion_model.label_emb.0.0.weight": (1,)}, "checkpoint_inpainting"),
        ({"conditioner.embedders.1.model.x": (1,), "edm_mean": (1,)}, "checkpoint_variant"),
    ],
)
def test_unsupported_kinds_are_named(
    sd1: Checkpoint, tmp_path: Path, change: dict[str, tuple[int, ...]], key: str
) -> None:
    tensors = {**sd1.tensors, **{name: torch.zeros(shape) for name, shape in change.items()}}
    with pytest.raises(BadCheckpoint) as caught:
        adopt(dataclasses.replace(sd1, tensors=tensors), tmp_path)
    assert caught.value.key == key
    assert caught.value.text("zh") != caught.value.text("en")


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("model.diffusion_model.", "checkpoint_other"),
        ("first_stage_model.", "checkpoint_incomplete"),
        ("cond_stage_model.", "checkpoint_incomplete"),
        ("conditioner.embedders.0.", "checkpoint_incomplete"),
        ("conditioner.embedders.1.", "checkpoint_refiner"),
        ("model.diffusion_model.middle_block.1.", "checkpoint_variant"),
    ],
)
def test_what_is_missing_is_said(folder: Path, tmp_path: Path, part: str, key: str) -> None:
    family = "SDXL" if part.startswith(("conditioner", "model.diffusion_model.middle")) else "SD1"
    whole = open_checkpoint(write_checkpoint(folder / family, family=family))
    tensors = {name: tensor for name, tensor in whole.tensors.items() if not name.startswith(part)}
    with pytest.raises(BadCheckpoint) as caught:
        adopt(dataclasses.replace(whole, tensors=tensors), tmp_path)
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
