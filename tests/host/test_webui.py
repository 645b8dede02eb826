"""The WebUI host on a WebUI of paper: what it asks of it, in which order, and that everything is given back."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from lora_trainer.errors import BadCheckpoint, BadSettings, RunFailed
from lora_trainer.host.protocol import ImageRequest
from tests.webui.paper import Paper

pytest_plugins = ["tests.webui.paper"]


def test_checkpoint_is_the_live_one_under_its_own_names(paper: Paper, host: Any) -> None:
    found = host.checkpoint()
    embedding = paper.model.cond_stage_model.wrapped.transformer.token_embedding.wrapped.weight
    assert found.tensors["cond_stage_model.transformer.token_embedding.weight"].data_ptr() == embedding.data_ptr()
    assert (found.title, found.sha256, found.tokenizer) == ("tiny", "12ab", "the live one")
    assert found.config["model"]["params"]["parameterization"] == "v"
    assert found.text_config == {"hidden_act": "gelu"}
    assert embedding.requires_grad and not any(t.requires_grad for t in found.tensors.values())


@pytest.mark.parametrize(
    ("where", "name", "value", "key"),
    [
        ("modules.shared", "sd_model", None, "checkpoint_none"),
        ("modules.devices", "fp8", True, "webui_fp8"),
        ("modules.shared", "cmd_opts", SimpleNamespace(lowvram=True), "webui_lowvram"),
        ("modules.sd_unet", "current_unet", "TensorRT", "webui_unet_replaced"),
    ],
)
def test_what_cannot_be_borrowed_is_refused(
    paper: Paper, host: Any, where: str, name: str, value: object, key: str
) -> None:
    setattr(sys.modules[where], name, value)
    with pytest.raises(BadCheckpoint) as refusal, host.exclusive():
        pass
    assert refusal.value.key == key
    assert not paper.lock.locked() and paper.state.job == ""


def test_forge_is_refused(paper: Paper, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modules_forge", ModuleType("modules_forge"))
    with pytest.raises(BadCheckpoint, match="Forge"):
        host.checkpoint()


def test_a_foreign_file_is_refused(paper: Paper, host: Any, tmp_path: Path) -> None:
    assert host.checkpoint(tmp_path / "tiny.safetensors").title == "tiny"
    (tmp_path / "away.safetensors").write_bytes(b"x")
    for name, key in (("away", "webui_checkpoint_foreign"), ("gone", "checkpoint_missing")):
        with pytest.raises(BadCheckpoint) as refusal:
            host.checkpoint(tmp_path / f"{name}.safetensors")
        assert refusal.value.key == key


def test_cuda_that_is_not_there_is_refused_before_waiting(paper: Paper, host: Any) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is CUDA")
    with pytest.raises(BadSettings, match="CUDA"), host.exclusive("cuda"):
        pass
    assert paper.log == []


def test_exclusive_gives_everything_back(paper: Paper, host: Any) -> None:
    with host.exclusive() as device:
        assert device == "cpu" and paper.lock.locked()
        assert paper.extension.loaded_networks == [] and paper.model.layer.network_current_names == ()
        with pytest.raises(RuntimeError, match="turn"):
            next(host.generate([ImageRequest(prompt="")]))
    before = ["add_task_to_queue", "begin lora_trainer", "start_task", "unet None", "unmerged"]
    assert paper.log == [*before, "finish_task", "end"]
    assert [net.name for net in paper.extension.loaded_networks] == ["merged"]
    assert sys.modules["modules.processing"].StableDiffusionProcessing.cached_c == [None, None]


def test_a_failure_inside_gives_everything_back_too(paper: Paper, host: Any) -> None:
    with pytest.raises(ValueError, match="inside"), host.exclusive():
        raise ValueError("inside")
    assert not paper.lock.locked() and paper.state.job == ""
    assert [net.name for net in paper.extension.loaded_networks] == ["merged"]


def test_a_write_into_the_live_weights_is_noticed(paper: Paper, host: Any) -> None:
    with pytest.raises(RunFailed) as failure, host.exclusive(), torch.no_grad():
        paper.model.layer.weight.add_(0)
    assert failure.value.key == "webui_checkpoint_changed"
