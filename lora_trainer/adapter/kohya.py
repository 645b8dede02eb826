"""LoRA files under the names of kohya and LyCORIS, which the WebUI, Forge, ComfyUI and others load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lora_trainer.adapter.deltas import KINDS, MAGNITUDE, kind_of
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadSettings

PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass
class Entry:
    """What a file holds for one layer: tensors by their names in the file without ``.weight``."""

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    alpha: float | None = None
    on_input: bool = False

    def named(self, key: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """As it is written. Single numbers and norms stay in fp32: they cost nothing and everything hangs on them."""
        found = {}
        for name, tensor in self.tensors.items():
            kept = torch.float32 if name == MAGNITUDE else dtype
            suffix = ".weight" if name in KINDS["lora"] else ""
            found[f"{key}.{name}{suffix}"] = tensor.detach().to("cpu", kept).contiguous()
        if kind_of(self.tensors) == "ia3":
            found[f"{key}.on_input"] = torch.tensor(int(self.on_input))
        elif self.alpha is not None:
            found[f"{key}.alpha"] = torch.tensor(self.alpha)
        return found


def entries_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, Entry]:
    """The tensors of a file layer by layer."""
    entries: dict[str, Entry] = {}
    for full_name, tensor in tensors.items():
        key, _, name = full_name.partition(".")
        entry = entries.setdefault(key, Entry())
        if name == "alpha":
            entry.alpha = float(tensor)
        elif name == "on_input":
            entry.on_input = bool(tensor)
        else:
            entry.tensors[name.removesuffix(".weight")] = tensor
    return entries


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
    entries = entries_of(tensors)
    if not any(key.startswith("lora_") and kind_of(entry.tensors) for key, entry in entries.items()):
        raise BadSettings("lora_foreign", name=path.name)
    return tensors, metadata


def tag_metadata(values: Mapping[str, object]) -> dict[str, str]:
    """kohya's way to write metadata: strings throughout, dictionaries and lists as JSON, None as "None"."""
    return {key: json.dumps(value) if isinstance(value, (dict, list)) else str(value) for key, value in values.items()}
