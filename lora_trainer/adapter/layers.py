"""Adapters in and out of our modules, whichever way they came: fresh, from a file, to a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, inject_adapter_in_model

from lora_trainer.adapter.deltas import MAGNITUDE, delta, kind_of
from lora_trainer.adapter.kohya import Entry, entries_of, read_lora
from lora_trainer.adapter.layer import ADAPTER, AdaptedLayer
from lora_trainer.adapter.targets import Place, components, key_of, places
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.errors import BadSettings


def put(wanted: Sequence[Place]) -> dict[str, AdaptedLayer]:
    """Have peft put an empty adapted layer in every place; they are returned by the places' keys."""
    for root in {id(place.root): place.root for place in wanted}.values():
        names = [re.escape(place.name) for place in wanted if place.root is root]
        config = LoraConfig(target_modules="|".join(names))
        kinds = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.GroupNorm, torch.nn.LayerNorm)
        config._register_custom_module(dict.fromkeys(kinds, AdaptedLayer))
        inject_adapter_in_model(config, root, adapter_name=ADAPTER)
        del root.peft_config  # peft's own record, which would outlive the layers
    layers = {place.key: place.root.get_submodule(place.name) for place in wanted}
    return {key: layer for key, layer in layers.items() if isinstance(layer, AdaptedLayer)}


def layers_of(module: torch.nn.Module) -> dict[str, AdaptedLayer]:
    """Every adapted layer of a U-Net or text encoder by the name of the module that it stands for."""
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, AdaptedLayer)}


def eject(parts: Parts) -> None:
    """Put the original layers back, untouched."""
    for _, root in components(parts):
        for name, layer in layers_of(root).items():
            parent, _, child = name.rpartition(".")
            setattr(root.get_submodule(parent), child, layer.base_layer)


@contextmanager
def weighted(parts: Parts, weight: float) -> Iterator[None]:
    """Apply the adapter with ``weight`` for a while, as the WebUI does: 1 as trained, 0 the model alone exactly.

    The finished change of every weight is multiplied, DoRA's and IA3's as well.
    """
    layers = [layer for _, root in components(parts) for layer in layers_of(root).values()]
    before = [layer.strength for layer in layers]
    try:
        for layer in layers:
            layer.strength = weight
        yield
    finally:
        for layer, strength in zip(layers, before, strict=True):
            layer.strength = strength


def state_of(parts: Parts, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The adapter of all networks as a file's tensors, on the CPU."""
    tensors: dict[str, torch.Tensor] = {}
    for prefix, root in components(parts):
        for name, layer in layers_of(root).items():
            key = key_of(parts.family, prefix, name)
            entry = Entry(dict(layer.factors), None if layer.kind == "norm" else layer.alpha, layer.on_input)
            tensors |= entry.named(key, dtype)
    return tensors


def load_lora(parts: Parts, path: Path) -> None:
    """Put the adapter of a file into all networks, replacing the one that is there. Raises ``BadSettings`` when it does
    not fit."""
    entries = entries_of(read_lora(path)[0])
    found = fitting(parts, entries, path.name)
    eject(parts)
    for key, layer in put(found).items():
        fill(layer, entries[key])
        layer.requires_grad_(False)


def fitting(parts: Parts, entries: Mapping[str, Entry], name: str) -> list[Place]:
    """The places of a file's entries. Raises ``BadSettings`` when one has no place or another shape."""
    found = {place.key: place for place in places(parts) if place.key in entries}
    misfits = [key for key, entry in entries.items() if key not in found or not fits(entry, found[key].layer)]
    if misfits:
        raise BadSettings("lora_misfit", name=name, count=len(misfits), example=min(misfits))
    return list(found.values())


def fits(entry: Entry, layer: torch.nn.Module) -> bool:
    """Whether the entry changes a weight of this layer's shape."""
    kind = kind_of(entry.tensors)
    if kind is None:
        return False
    weight = layer.get_parameter("weight").to("meta")
    tensors = {name: tensor.to("meta", torch.float32) for name, tensor in entry.tensors.items()}
    try:
        change = delta(kind, tensors, weight, entry.on_input)
        if MAGNITUDE in tensors:
            change = change * tensors[MAGNITUDE]
    except RuntimeError:
        return False
    return change.shape == weight.shape


def fill(layer: AdaptedLayer, entry: Entry) -> None:
    """Give the layer what a file holds for it."""
    tensors = entry.tensors
    if isinstance(layer.base_layer, torch.nn.Conv2d):  # some programs write those of one pixel as matrices
        tensors = {
            name: tensor[..., None, None] if name.startswith("lora_") and tensor.dim() == 2 else tensor
            for name, tensor in tensors.items()
        }
    layer.fill(tensors, entry.alpha, entry.on_input)
