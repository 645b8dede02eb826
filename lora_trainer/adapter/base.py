"""LoRAs that are merged into our modules for the time of a training (kohya's ``base_weights``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lora_trainer.adapter.blocks import numbers
from lora_trainer.adapter.kohya import entries_of, read_lora
from lora_trainer.adapter.layer import AdaptedLayer
from lora_trainer.adapter.layers import fill, fitting
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.settings import NetworkSettings


@contextmanager
def merged(parts: Parts, network: NetworkSettings) -> Iterator[None]:
    """Our modules with the base LoRAs in their weights, for as long as it lasts; begin before captions are encoded.

    A changed layer gets a weight of its own, so the tensors shared with the checkpoint's owner are never written to.
    Raises ``BadSettings`` for a file that does not fit.
    """
    weights = numbers("base_weights_multiplier", network.base_weights_multiplier)
    originals: dict[torch.nn.Module, dict[str, torch.nn.Parameter | None]] = {}
    try:
        for i, name in enumerate(network.base_weights):
            _merge(parts, Path(name), weights[i] if i < len(weights) else 1.0, originals)
        yield
    finally:
        for layer, held in originals.items():
            for name, parameter in held.items():
                setattr(layer, name, parameter)


@torch.no_grad()
def _merge(
    parts: Parts,
    path: Path,
    weight: float,
    originals: dict[torch.nn.Module, dict[str, torch.nn.Parameter | None]],
) -> None:
    """Add a file's change times ``weight`` to copies of the weights that it names, and note what they replace."""
    entries = entries_of(read_lora(path)[0])
    for place in fitting(parts, entries, path.name):
        layer = place.layer
        adapted = AdaptedLayer(layer)
        fill(adapted, entries[place.key])
        adapted.strength = weight
        originals.setdefault(layer, {"weight": layer.weight, "bias": layer.bias})
        layer.weight = _sum(layer.weight, adapted.change())
        if adapted.kind == "norm" and "b_norm" in adapted.factors:
            layer.bias = _sum(layer.bias, adapted.factors["b_norm"] * weight)


def _sum(parameter: torch.Tensor, change: torch.Tensor) -> torch.nn.Parameter:
    return torch.nn.Parameter((parameter.float() + change).to(parameter.dtype), requires_grad=False)
