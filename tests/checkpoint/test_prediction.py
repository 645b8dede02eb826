"""What a checkpoint says that its U-Net predicts, and its noise schedule."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

from lora_trainer.checkpoint.adopt import adopt
from lora_trainer.checkpoint.family import SD1, SD2, SDXL, predicting
from lora_trainer.checkpoint.files import open_checkpoint, read_marks
from lora_trainer.checkpoint.noise import noise_schedule
from lora_trainer.checkpoint.prediction import has_zero_terminal_snr, prediction_type
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.settings import LossSettings
from tests.tiny import write_checkpoint

EMPTY = torch.zeros(0)
V_SCALING = {"scaling_config": {"target": "sgm.modules.diffusionmodules.denoiser_scaling.VScaling"}}


def saying(
    tensors: dict[str, torch.Tensor] | None = None, metadata: dict[str, str] | None = None, **params: Any
) -> Any:
    config = {"model": {"params": params}} if params else {}
    return Checkpoint(title="x", tensors=tensors or {}, config=config, metadata=metadata or {})


@pytest.mark.parametrize(
    ("checkpoint", "kind"),
    [
        (saying(), "epsilon"),
        (saying(parameterization="v"), "v_prediction"),
        (saying(parameterization="eps"), "epsilon"),
        (saying(denoiser_config={"params": V_SCALING}), "v_prediction"),
        (saying({"v_pred": EMPTY}), "v_prediction"),
        (saying({"v_pred": EMPTY}, parameterization="eps"), "v_prediction"),
        (saying(metadata={"modelspec.prediction_type": "v"}), "v_prediction"),
        (saying(metadata={"modelspec.prediction_type": "epsilon"}), "epsilon"),
        (saying(metadata={"modelspec.architecture": "stable-diffusion-v2-768-v"}), "v_prediction"),
    ],
)
def test_signs_of_v_prediction(checkpoint: Checkpoint, kind: str) -> None:
    assert prediction_type(checkpoint, SDXL, torch.nn.Identity()) == kind


@pytest.mark.parametrize(
    ("checkpoint", "zero"),
    [
        (saying(), False),
        (saying({"ztsnr": EMPTY}), True),
        (saying({"alphas_cumprod": torch.tensor([0.99, 0.0047])}), False),
        (saying({"alphas_cumprod": torch.tensor([0.99, 4.9e-8])}), True),
        (saying(zero_terminal_snr=True), True),
    ],
)
def test_signs_of_zero_terminal_snr(checkpoint: Checkpoint, zero: bool) -> None:
    assert has_zero_terminal_snr(checkpoint) == zero


def test_an_sd2_that_says_nothing_is_tried_out(tmp_path: Path) -> None:
    """A U-Net that always answers with the same number: at -3, as v does at pure noise, and at 0."""
    checkpoint = open_checkpoint(write_checkpoint(tmp_path, family="SD2"))
    for answer, kind, version in ((-3.0, "v_prediction", "sd_v2_v"), (0.0, "epsilon", "sd_v2")):
        tensors = dict(checkpoint.tensors)
        tensors["model.diffusion_model.out.2.weight"] = torch.zeros(4, 64, 3, 3, dtype=torch.float16)
        tensors["model.diffusion_model.out.2.bias"] = torch.full((4,), answer, dtype=torch.float16)
        parts = adopt(dataclasses.replace(checkpoint, tensors=tensors), tmp_path)
        assert (parts.noise.prediction_type, parts.family.base_model_version) == (kind, version)
        assert all(p.dtype == torch.float16 for p in parts.unet.parameters())  # given back as it was
        owned = {tensor.untyped_storage().data_ptr() for tensor in tensors.values()}
        assert all(p.untyped_storage().data_ptr() in owned for p in parts.unet.parameters())
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in parts.unet.modules())


def test_settings_overrule_what_is_found(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write_checkpoint(tmp_path, family="SDXL"))
    marked = dataclasses.replace(checkpoint, tensors={**checkpoint.tensors, "v_pred": EMPTY, "ztsnr": EMPTY})
    found = adopt(marked, tmp_path).noise
    assert (found.prediction_type, found.zero_terminal_snr) == ("v_prediction", True)
    told = adopt(marked, tmp_path, LossSettings(prediction_type="epsilon", zero_terminal_snr="no")).noise
    assert (told.prediction_type, told.zero_terminal_snr) == ("epsilon", False)
    told = adopt(checkpoint, tmp_path, LossSettings(prediction_type="v_prediction", zero_terminal_snr="yes")).noise
    assert (told.prediction_type, told.zero_terminal_snr) == ("v_prediction", True)


def test_zero_terminal_snr_is_diffusers() -> None:
    plain, ours = noise_schedule({}), noise_schedule({}, "v_prediction", True)
    betas = 1 - plain.alphas_cumprod / torch.cat([torch.ones(1, dtype=torch.float64), plain.alphas_cumprod[:-1]])
    theirs = (1 - rescale_zero_terminal_snr(betas)).cumprod(0)
    torch.testing.assert_close(ours.alphas_cumprod, theirs)
    assert ours.zero_terminal_snr and not plain.zero_terminal_snr
    assert bool(ours.sigmas().isfinite().all())
    assert float(ours.sigmas()[-1]) == pytest.approx(4518.8, abs=0.1)  # sqrt(1 / 4.897e-8): the WebUI's largest


def test_names_of_models_that_predict_v() -> None:
    assert predicting(SD1, "v_prediction").base_model_version == "sd_v1_v"
    assert predicting(SD2, "epsilon") is SD2
    v2 = predicting(SD2, "v_prediction")
    assert (v2.base_model_version, v2.architecture) == ("sd_v2_v", "stable-diffusion-v2-768-v/lora")
    assert (v2.resolution, v2.card_version) == (768, "SD2")
    assert predicting(SDXL, "v_prediction") is SDXL


def test_marks_are_read_without_the_weights(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "marked.safetensors"
    save_file({"v_pred": EMPTY, "weight": torch.zeros(2)}, path, metadata={"modelspec.prediction_type": "v"})
    tensors, metadata = read_marks(path)
    assert list(tensors) == ["v_pred"] and metadata == {"modelspec.prediction_type": "v"}
    assert read_marks(tmp_path / "old.ckpt") == read_marks(tmp_path / "gone.safetensors") == ({}, {})
