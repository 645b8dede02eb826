"""A WebUI of paper: its modules as far as the host knows them, and a log of what it was asked."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

CALLBACKS = ("on_ui_settings", "on_ui_tabs", "on_app_started", "on_script_unloaded")
CONFIG = "model:\n  params:\n    unet_config: {params: {}}\n"


class Wrapped(torch.nn.Module):
    """What the WebUI puts around a module."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.wrapped = module


class Stage1(torch.nn.Module):
    """A text encoder as LDM holds it."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = torch.nn.Sequential()
        self.transformer.add_module("token_embedding", Wrapped(torch.nn.Embedding(4, 2)))
        self.transformer.config = SimpleNamespace(to_dict=lambda: {"hidden_act": "gelu"})  # type: ignore[assignment]
        self.tokenizer = "the live one"


class Model(torch.nn.Module):
    """The WebUI's model, with one LoRA merged into its layer."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.cond_stage_model = Wrapped(Stage1())
        self.layer.network_current_names = ("merged",)  # type: ignore[assignment]
        self.used_config = str(folder / "tiny.yaml")
        self.parameterization = "v"
        self.sd_checkpoint_info = SimpleNamespace(
            filename=str(folder / "tiny.safetensors"),
            name_for_extra="tiny",
            title="tiny.safetensors [12]",
            sha256="12ab",
        )


class State(SimpleNamespace):
    """``shared.state``."""

    def begin(self, job: str) -> None:
        self.log.append(f"begin {job}")
        self.job, self.job_count, self.job_no, self.textinfo, self.time_start = job, -1, 0, None, 0.0
        self.interrupted = self.stopping_generation = self.skipped = False
        self.sampling_step = self.sampling_steps = 0

    def end(self) -> None:
        self.log.append("end")
        self.job, self.job_count = "", 0


class Paper:
    """A WebUI's modules, as far as the host knows them; ``log`` tells what was asked, in order."""

    def __init__(self, folder: Path) -> None:
        self.log: list[str] = []
        self.folder, self.model, self.lock = folder, Model(folder), threading.Lock()
        (folder / "tiny.yaml").write_text(CONFIG, encoding="utf-8")
        (folder / "tiny.safetensors").write_bytes(b"x")
        self.loras = folder / "Lora"
        self.loras.mkdir()
        self.state = State(
            log=self.log, job="", job_count=0, interrupted=False, stopping_generation=False, skipped=False
        )
        self.drawn: list[Any] = []
        self.skips = 0

    def modules(self) -> dict[str, ModuleType]:
        log, info = self.log.append, self.model.sd_checkpoint_info
        options = SimpleNamespace(localization="None", CLIP_stop_at_last_layers=2, data_labels={})
        options.data_labels = {
            "CLIP_stop_at_last_layers": SimpleNamespace(infotext="Clip skip"),
            "x": SimpleNamespace(),
        }
        found: dict[str, dict[str, Any]] = {
            "shared": {
                "sd_model": self.model,
                "demo": None,
                "state": self.state,
                "opts": options,
                "cmd_opts": SimpleNamespace(lowvram=False, ckpt_dir=None, lora_dir=str(self.loras)),
                "total_tqdm": SimpleNamespace(clear=lambda: None),
            },
            "devices": {"device": torch.device("cpu"), "fp8": False, "torch_gc": lambda: None},
            "paths": {"data_path": str(self.folder), "models_path": str(self.folder)},
            "call_queue": {"queue_lock": self.lock},
            "progress": {n: lambda task, n=n: log(n) for n in ("add_task_to_queue", "start_task", "finish_task")},
            "lowvram": {"is_enabled": lambda model: False, "send_everything_to_cpu": lambda: log("to cpu")},
            "sd_unet": {"apply_unet": lambda name: log(f"unet {name}"), "current_unet": None},
            "sd_models": {
                "model_path": str(self.folder),
                "model_data": SimpleNamespace(sd_model=self.model),
                "checkpoints_list": {info.title: info},
                "select_checkpoint": lambda: info,
                "list_models": lambda: log("list models"),
            },
            "scripts": {"ScriptRunner": SimpleNamespace},
            "infotext_utils": {},
            "script_callbacks": {n: self.callback(n) for n in CALLBACKS},
            "processing": {
                "StableDiffusionProcessing": type("P", (), {"cached_c": ["stale", "stale"]}),
                "StableDiffusionProcessingTxt2Img": lambda **values: SimpleNamespace(**values, close=lambda: None),
                "process_images": self.process,
            },
        }
        named = {f"modules.{name}": made(f"modules.{name}", values) for name, values in found.items()}
        parent = made("modules", {name: named[f"modules.{name}"] for name in found})
        return {"modules": parent, **named, "networks": made("networks", self.networks())}

    def networks(self) -> dict[str, Any]:
        """The built-in Lora extension."""

        def apply(module: Any) -> None:
            self.log.append("unmerged" if not self.extension.loaded_networks else "merged")
            module.network_current_names = ()

        self.found: dict[str, Any] = {}
        return {
            "network_apply_weights": apply,
            "loaded_networks": [SimpleNamespace(name="merged")],
            "available_networks": self.found,
            "available_network_aliases": self.found,
            "forbidden_network_aliases": {},
            "list_available_networks": self.list_loras,
        }

    @property
    def extension(self) -> Any:
        return sys.modules["networks"]

    def list_loras(self) -> None:
        self.log.append("list loras")
        self.found.update({p.stem: SimpleNamespace(filename=str(p)) for p in self.loras.rglob("*.safetensors")})

    def callback(self, name: str) -> Any:
        return lambda function: setattr(self, name, function)

    def process(self, p: Any) -> Any:
        """``process_images``: a picture, with the LoRA that the prompt calls."""
        self.drawn.append(p)
        called = [part.split(":")[1] for part in p.prompt.split() if part.startswith("<lora:")]
        self.extension.loaded_networks[:] = [SimpleNamespace(name=name) for name in called if name in self.found]
        if p.prompt == "interrupt" or (p.prompt == "reload" and len(self.drawn) == 1):
            self.state.interrupted = True
        self.state.skipped = p.prompt == "skip" and not self.skips
        self.skips += self.state.skipped
        if p.prompt == "fail":
            raise ValueError("no memory")
        return SimpleNamespace(images=[Image.new("RGB", (p.width, p.height))])


def made(name: str, values: dict[str, Any]) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(values)
    return module


@pytest.fixture()
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paper]:
    """A WebUI of paper, into which our modules are imported anew."""
    found = Paper(tmp_path)
    for name, module in found.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    forget_ours()
    yield found
    forget_ours()


def forget_ours() -> None:
    """Have the modules that hold on to a WebUI imported anew."""
    package = importlib.import_module("lora_trainer.host")
    for name in [
        name for name in sys.modules if name.startswith(("lora_trainer.host.webui", "lora_trainer.host.compat"))
    ]:
        del sys.modules[name]
        vars(package).pop(name.rpartition(".")[2], None)


@pytest.fixture()
def host(paper: Paper) -> Any:
    return importlib.import_module("lora_trainer.host.webui").WebUIHost()


def lora(paper: Paper, name: str = "mine-000001", folder: str = "") -> Path:
    path = paper.loras / folder / f"{name}.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    return path
