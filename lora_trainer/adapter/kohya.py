"""LoRA files under kohya's names, which the WebUI, Forge, ComfyUI, diffusers and kohya's own tools load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lora_trainer.adapter.inject import ADAPTER, TEXT_TARGETS, UNET_TARGETS, inject, lora_layers
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadSettings
from lora_trainer.settings import NetworkSettings

PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
UNET_PREFIX, TEXT_PREFIX = "lora_unet", "lora_te"


def kohya_name(prefix: str, module: str) -> str:
    """kohya's name of a module of diffusers or transformers: SD1's keep diffusers' own words, joined by underscores."""
    if prefix == TEXT_PREFIX and not module.startswith("text_model."):
        module = f"text_model.{module}"  # transformers 5 dropped it
    return f"{prefix}_{module.replace('.', '_')}"


def state_of(parts: Parts, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The LoRA of both networks as kohya's tensors, on the CPU."""
    tensors = {}
    for prefix, network in ((UNET_PREFIX, parts.unet), (TEXT_PREFIX, parts.text_encoder)):
        for module, layer in lora_layers(network).items():
            name = kohya_name(prefix, module)
            down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
            alpha = torch.tensor(float(layer.lora_alpha[ADAPTER]))
            for key, tensor in (("lora_down.weight", down), ("lora_up.weight", up), ("alpha", alpha)):
                tensors[f"{name}.{key}"] = tensor.detach().to("cpu", dtype).contiguous()
    return tensors


def write_lora(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write the file whole or not at all, with kohya's hash of its body among the metadata."""
    content = save(dict(tensors))
    end = 8 + int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8:end]), content[end:]
    header["__metadata__"] = {**metadata, "sshs_model_hash": hashlib.sha256(body).hexdigest()}
    # The library writes metadata in a random order; in a sorted one, the same LoRA is the same file to the bit.
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    write_whole(path, len(text).to_bytes(8, "little") + text + body)


def read_lora(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a LoRA file. Raises ``BadSettings`` when it is none."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dictionary)
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise BadSettings("lora_unreadable", name=path.name, reason=error) from error
    if not any(name.endswith(".lora_down.weight") for name in tensors):
        raise BadSettings("lora_foreign", name=path.name)
    return tensors, metadata


def load_lora(parts: Parts, path: Path) -> None:
    """Put the LoRA of a file into both networks, replacing the one that is there. Raises ``BadSettings`` when it does
    not fit."""
    tensors, _ = read_lora(path)
    rest = set(tensors)
    for prefix, network, targets in (
        (UNET_PREFIX, parts.unet, UNET_TARGETS),
        (TEXT_PREFIX, parts.text_encoder, TEXT_TARGETS),
    ):
        if not any(name.startswith(f"{prefix}_") for name in tensors):
            continue
        if not lora_layers(network):
            sample = next(
                t for name, t in tensors.items() if name.startswith(prefix) and name.endswith("lora_down.weight")
            )
            inject(network, targets, NetworkSettings(network_dim=sample.shape[0]), seed=0)
        rest -= _fill(network, prefix, tensors)
    if rest:
        raise BadSettings("lora_misfit", name=path.name, count=len(rest), example=sorted(rest)[0])


def _fill(network: torch.nn.Module, prefix: str, tensors: Mapping[str, torch.Tensor]) -> set[str]:
    """Copy the tensors into the layers that they name; a layer that has none is silenced. Returns the names used."""
    used = set()
    for module, layer in lora_layers(network).items():
        name = kohya_name(prefix, module)
        down, up = (layer.get_parameter(f"lora_{part}.{ADAPTER}.weight") for part in "AB")
        key_down, key_up, key_alpha = (f"{name}.{key}" for key in ("lora_down.weight", "lora_up.weight", "alpha"))
        if key_down not in tensors or key_up not in tensors:
            up.data.zero_()
            continue
        rank = tensors[key_down].shape[0]
        if tensors[key_down].numel() * down.shape[0] != down.numel() * rank:
            continue  # another model's layer: stays among the unused names
        down.data = tensors[key_down].to(down.device, torch.float32).reshape(rank, *down.shape[1:])
        up.data = tensors[key_up].to(up.device, torch.float32).reshape(up.shape[0], rank, *up.shape[2:])
        alpha = float(tensors[key_alpha]) if key_alpha in tensors else float(rank)
        layer.scaling[ADAPTER], layer.r[ADAPTER], layer.lora_alpha[ADAPTER] = alpha / rank, rank, alpha
        used |= {key_down, key_up, key_alpha} & set(tensors)
    return used


def tag_metadata(values: Mapping[str, object]) -> dict[str, str]:
    """kohya's way to write metadata: strings throughout, dictionaries and lists as JSON, None as "None"."""
    return {key: json.dumps(value) if isinstance(value, (dict, list)) else str(value) for key, value in values.items()}
