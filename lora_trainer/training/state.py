"""The state of a training on disk, from which it goes on as if it had never stopped. No pickle is written or read.

A file holds a tree of dictionaries, lists, numbers and tensors: its tensors as safetensors, its shape as JSON in the
header. Where the training stands in its data is the number of the step alone, since all that is random is drawn from
the seed and that number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lora_trainer.disk import write_whole
from lora_trainer.errors import BadSettings

TREE = "tree"
TENSOR = "tensor:"  # a text in the tree that stands for a tensor


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` whole or not at all. Raises ``TypeError`` for what is no number, text, list, dictionary or
    tensor."""
    tensors: dict[str, torch.Tensor] = {}
    tree = json.dumps(_packed(state, tensors))
    write_whole(path, save(tensors, {TREE: tree}))


def read_state(path: Path) -> dict[str, Any]:
    """The state in a file, its tensors on the CPU. Raises ``BadSettings`` when it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            tree = json.loads((file.metadata() or {})[TREE])
            # Cloned: the file's tensors begin anywhere, and arithmetic on such ones rounds differently.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  (not a dictionary)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise BadSettings("state_unreadable", name=path.name, reason=error) from error
    state: dict[str, Any] = _unpacked(tree, tensors)
    return state


def _packed(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """``value`` for JSON; its tensors go into ``tensors``. Keys that are numbers are kept apart from texts."""
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()  # safetensors refuses shared storage
        return TENSOR + name
    if isinstance(value, dict):
        return {"dict": [[key, _packed(entry, tensors)] for key, entry in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_packed(entry, tensors) for entry in value]}
    if isinstance(value, list):
        return [_packed(entry, tensors) for entry in value]
    if isinstance(value, str):
        return {"text": value}
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be kept in a state")


def _unpacked(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, str):
        return tensors[value.removeprefix(TENSOR)]
    if isinstance(value, list):
        return [_unpacked(entry, tensors) for entry in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "dict":
        return {key: _unpacked(entry, tensors) for key, entry in content}
    return str(content) if kind == "text" else tuple(_unpacked(entry, tensors) for entry in content)
