"""The live checkpoint of an SDXL, and what the WebUI has settled about its noise, on a WebUI of paper."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.webui.paper import Paper, Stage1, Wrapped

pytest_plugins = ["tests.webui.paper"]


def give_conditioner(paper: Paper) -> None:
    """Two wrapped text encoders; the WebUI names the conditioner ``cond_stage_model`` too."""
    second = torch.nn.Module()
    second.model = torch.nn.Module()
    second.model.token_embedding = Wrapped(torch.nn.Embedding(4, 2))
    paper.model.conditioner = torch.nn.Module()
    paper.model.conditioner.embedders = torch.nn.ModuleList([Wrapped(Stage1()), Wrapped(second)])
    paper.model.cond_stage_model = paper.model.conditioner


def test_both_text_encoders_have_their_names_in_a_file(paper: Paper, host: Any) -> None:
    give_conditioner(paper)
    found = host.checkpoint()
    assert "conditioner.embedders.0.transformer.token_embedding.weight" in found.tensors
    assert "conditioner.embedders.1.model.token_embedding.weight" in found.tensors
    assert (found.tokenizer, found.text_config) == ("the live one", {"hidden_act": "gelu"})


def test_marks_come_from_the_file_and_the_schedule_is_the_models_own(paper: Paper, host: Any) -> None:
    marks = {"v_pred": torch.zeros(0), "weight": torch.zeros(1)}
    save_file(marks, paper.folder / "tiny.safetensors", metadata={"modelspec.prediction_type": "v"})
    paper.model.alphas_cumprod_original = torch.tensor([0.9, 0.1])
    found = host.checkpoint()
    assert "v_pred" in found.tensors and "weight" not in found.tensors
    assert found.metadata == {"modelspec.prediction_type": "v"}
    assert found.tensors["alphas_cumprod"] is paper.model.alphas_cumprod_original


@pytest.mark.parametrize(
    ("parameterization", "chosen", "marked", "zero"),
    [
        ("v", "Zero Terminal SNR", False, True),
        ("eps", "Zero Terminal SNR", False, False),
        ("v", "Default", False, False),
        ("v", "Default", True, True),
    ],
)
def test_zero_terminal_snr_is_the_models_mark_or_the_users_choice(
    paper: Paper, host: Any, parameterization: str, chosen: str, marked: bool, zero: bool
) -> None:
    paper.model.parameterization, paper.model.ztsnr = parameterization, marked
    sys.modules["modules.shared"].opts.sd_noise_schedule = chosen
    params = host.checkpoint().config["model"]["params"]
    assert params.get("zero_terminal_snr", False) == zero
    assert params["parameterization"] == parameterization
