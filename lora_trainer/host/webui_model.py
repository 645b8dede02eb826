"""The checkpoint that the WebUI holds, by reference (D1), and having it unchanged for a while (D2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from modules import devices, lowvram, sd_models, sd_unet, shared

from lora_trainer.checkpoint.family import check_file
from lora_trainer.checkpoint.files import read_config, read_marks
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.errors import BadCheckpoint, BadSettings, RunFailed
from lora_trainer.host import compat


def live_model() -> Any:
    """The WebUI's model. Raises ``BadCheckpoint`` when there is none, or none whose weights can be borrowed."""
    if compat.is_forge():
        raise BadCheckpoint("webui_forge", field="checkpoint")
    model = shared.sd_model
    if model is None:
        raise BadCheckpoint("checkpoint_none", field="checkpoint")
    if shared.cmd_opts.lowvram:
        raise BadCheckpoint("webui_lowvram", field="checkpoint")
    if compat.in_fp8():
        raise BadCheckpoint("webui_fp8", field="checkpoint")
    return model


def checkpoint_title() -> str:
    """The loaded checkpoint's title, or that of the one which the first picture will load. Raises ``BadCheckpoint``."""
    if sd_models.model_data.sd_model is not None:
        return str(live_model().sd_checkpoint_info.title)
    if not sd_models.checkpoints_list:
        raise BadCheckpoint("checkpoint_none", field="checkpoint")
    return str(sd_models.select_checkpoint().title)


def checkpoint_family() -> str:
    """The loaded checkpoint's family, SD1, SD2 or SDXL; empty for others, and as long as none is loaded."""
    model = sd_models.model_data.sd_model
    marks = {"is_sdxl": "SDXL", "is_sd2": "SD2", "is_sd1": "SD1"}
    return next((family for mark, family in marks.items() if getattr(model, mark, False)), "")


def live_checkpoint() -> Checkpoint:
    """The loaded checkpoint: its own tensors under their names in a file. Raises ``BadCheckpoint``."""
    model = live_model()
    info = model.sd_checkpoint_info
    marks, metadata = read_marks(Path(info.filename))
    encoder = _clip_encoder(model)
    text_config = getattr(getattr(encoder, "transformer", None), "config", None)
    return Checkpoint(
        title=info.name_for_extra,
        tensors={**_own_tensors(model), **marks},
        config=_config(model),
        text_config=text_config.to_dict() if text_config else {},
        metadata=metadata,
        path=Path(info.filename),
        sha256=info.sha256 or "",
        tokenizer=getattr(encoder, "tokenizer", None),
    )


def _own_tensors(model: Any) -> dict[str, torch.Tensor]:
    """Everything by reference; the noise schedule as it is in the file, which the WebUI may have exchanged."""
    tensors = {plain_name(name): tensor for name, tensor in model.state_dict().items()}
    original = getattr(model, "alphas_cumprod_original", None)
    return tensors if original is None else {**tensors, "alphas_cumprod": original}


def _config(model: Any) -> dict[str, Any]:
    """The config that the model was made of, with what the WebUI has settled since."""
    config = read_config(Path(model.used_config))
    params = config.setdefault("model", {}).setdefault("params", {})
    if hasattr(model, "parameterization"):
        params["parameterization"] = model.parameterization
    # Later versions read the mark; in 1.10 the user chooses, and means it of a model that predicts v.
    chosen = getattr(shared.opts, "sd_noise_schedule", "Default") == "Zero Terminal SNR"
    if getattr(model, "ztsnr", False) or (chosen and params.get("parameterization") == "v"):
        params["zero_terminal_snr"] = True
    return config


def _clip_encoder(model: Any) -> Any:
    """The first text encoder, without the WebUI's wrapper: SDXL's are in a list."""
    embedders = getattr(getattr(model, "conditioner", None), "embedders", None)
    stage = embedders[0] if embedders else getattr(model, "cond_stage_model", None)
    return getattr(stage, "wrapped", stage)


def plain_name(name: str) -> str:
    """A tensor's name without the wrappers that the WebUI puts around text encoders and their token embeddings."""
    return name.replace(".wrapped.", ".")


def known_checkpoint(path: Path) -> Any:
    """What the WebUI knows of the file ``path``. Raises ``BadCheckpoint`` when it lies outside of its folders."""
    check_file(path)
    for refresh in (False, True):
        if refresh:
            sd_models.list_models()
        for info in list(sd_models.checkpoints_list.values()):
            if same_file(Path(info.filename), path):
                return info
    raise BadCheckpoint("webui_checkpoint_foreign", field="checkpoint", name=path.name, folder=sd_models.model_path)


def same_file(one: Path, other: Path) -> bool:
    """Whether both name one file that is there."""
    return one.exists() and other.exists() and one.samefile(other)


def training_device(wanted: str) -> str:
    """The WebUI's own device where we can train on it, else the CPU. Raises ``BadSettings`` when there is no CUDA."""
    own = torch.device(devices.device)
    if wanted != "cpu" and own.type == "cuda":
        return str(own)
    if wanted == "cuda" and not torch.cuda.is_available():
        raise BadSettings("no_cuda", field="device")
    return wanted if wanted == "cuda" else "cpu"


@contextmanager
def borrowed(model: Any) -> Iterator[None]:
    """Have the model's weights as they are in its file, and see to it that they stay so. The queue lock must be held.

    Of all that the WebUI does to a model only merged LoRAs change the weights; hypernetworks, embeddings, tiling and
    attention change how its own modules run, and ours are others. Raises ``RunFailed`` when the model was exchanged.
    """
    if lowvram.is_enabled(model):
        lowvram.send_everything_to_cpu()
    sd_unet.apply_unet("None")  # its engine would fill the memory; the next picture brings it back by itself
    if sd_unet.current_unet is not None:
        raise BadCheckpoint("webui_unet_replaced", field="checkpoint")
    try:
        with unmerged(model):
            before = _mark(model)
            yield
            if _mark(model) != before or shared.sd_model is not model:
                raise RunFailed("webui_checkpoint_changed")
    finally:
        compat.forget_conditions()
        devices.torch_gc()


@contextmanager
def unmerged(model: Any) -> Iterator[None]:
    """Take merged LoRAs out of the weights. The list of them comes back; the next picture merges again by itself."""
    networks = compat.lora_extension()
    if networks is None:
        yield
        return
    merged = list(networks.loaded_networks)
    networks.loaded_networks.clear()
    try:
        with torch.no_grad():
            for module in model.modules():
                if getattr(module, "network_current_names", ()):
                    networks.network_apply_weights(module)  # nothing is loaded: it restores the weights from its copy
        yield
    finally:
        networks.loaded_networks[:] = merged


def _mark(model: Any) -> tuple[str, int]:
    """The model's file, and a number that grows with every write into a weight."""
    return model.sd_checkpoint_info.filename, sum(parameter._version for parameter in model.parameters())
