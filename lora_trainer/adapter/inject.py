"""The network in our modules, put there through peft (D3). The frozen weights beneath stay shared with their owner."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from lora_trainer.adapter.arguments import Network, network_of
from lora_trainer.adapter.deltas import MAGNITUDE, input_norms, kind_of, rank_of
from lora_trainer.adapter.fresh import fresh
from lora_trainer.adapter.kohya import Entry, entries_of, read_lora
from lora_trainer.adapter.layer import AdaptedLayer, Dropout
from lora_trainer.adapter.layers import eject, fill, fitting, put
from lora_trainer.adapter.targets import IA3_ON_INPUT, Part, plan
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.errors import BadSettings
from lora_trainer.settings import NetworkSettings, OptimizerSettings


class Adapter:
    """A network in ``parts`` that learns. ``close`` takes it out again."""

    def __init__(
        self, parts: Parts, network: Network, rates: tuple[float, ...], learning: list[tuple[Part, AdaptedLayer]]
    ) -> None:
        self.parts, self.network, self.rates, self.learning = parts, network, rates, learning

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """Everything that learns, in fp32."""
        return [parameter for group in self.groups() for parameter in group["params"]]

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by learning rate, as optimizers take them: ``{"params": [...], "lr": rate, "name": component}``.

        The rate is the component's, times the block's factor, times LoRA+'s ratio for the matrices that begin at zero
        (arXiv 2402.12354). The U-Net comes first.
        """
        found: dict[tuple[str, float], list[torch.nn.Parameter]] = {}
        for part, layer in self.learning:
            component = part.place.component
            plus = self.network.text_loraplus if component else self.network.unet_loraplus
            name = f"text_encoder{component}" if component else "unet"
            for factor_name, parameter in layer.factors.items():
                ratio = plus if plus and factor_name == "lora_up" else 1.0
                rate = self.rates[component] * part.rate_factor * ratio
                found.setdefault((name, rate), []).append(parameter)
        return [{"params": parameters, "lr": rate, "name": name} for (name, rate), parameters in found.items()]

    def trains(self, component: int) -> bool:
        """Whether anything learns in the U-Net (0) or the n-th text encoder (n)."""
        return any(part.place.component == component for part, _ in self.learning)

    def after_step(self) -> None:
        """Keep every layer's change within its longest norm, where there is one."""
        if self.network.max_norm:
            for _, layer in self.learning:
                layer.limit_norm(self.network.max_norm)

    def close(self) -> None:
        """Put the original layers back; they are as they were."""
        eject(self.parts)


def inject(parts: Parts, network: NetworkSettings, optimizer: OptimizerSettings, seed: int) -> Adapter:
    """Put a network that changes nothing yet, or the one to go on from, into everything that has a learning rate.

    What the file to go on from holds for the rest is put there frozen, and is saved again with what learns. The same
    seed gives the same weights. Raises ``BadSettings`` when nothing would learn, and for settings or a file that do not
    fit the model.
    """
    wanted = network_of(network, optimizer)
    rates = rates_of(parts, optimizer)
    learning = {component for component, rate in enumerate(rates) if rate > 0}
    if not learning:
        raise BadSettings("nothing_to_train", field="unet_lr")
    planned = {part.place.key: part for part in plan(parts, wanted, learning)}
    old = Path(network.network_weights)
    entries = entries_of(read_lora(old)[0]) if network.network_weights else {}
    old_places = {place.key: place for place in fitting(parts, entries, old.name)}
    if network.dim_from_weights:
        planned = {
            key: planned.get(key, Part(place, 0, 0.0, 1.0))
            for key, place in old_places.items()
            if place.component in learning
        }
    else:
        _check_ranks(planned, entries, old_places, learning)
    if not planned:
        raise BadSettings("network_nothing", field="network_args")

    layers = put([*(part.place for part in planned.values()), *(p for k, p in old_places.items() if k not in planned)])
    generator = torch.Generator().manual_seed(seed)
    for key, layer in layers.items():
        if key in planned:
            _start(layer, wanted, planned[key], generator)
        if key in entries:
            fill(layer, entries[key])
        for factor in layer.factors.values():  # the frozen layer beneath stays frozen
            factor.requires_grad_(key in planned)
    return Adapter(parts, wanted, rates, [(part, layers[key]) for key, part in planned.items()])


def rates_of(parts: Parts, optimizer: OptimizerSettings) -> tuple[float, ...]:
    """The learning rate of the U-Net and of each text encoder."""
    rates = (optimizer.unet_lr, optimizer.text_encoder_lr, optimizer.text_encoder_lr2)
    return rates[: 1 + len(parts.text_encoders)]


def _start(layer: AdaptedLayer, network: Network, part: Part, generator: torch.Generator) -> None:
    """Give the layer a new adapter."""
    layer.dropout = Dropout(network.dropout, network.rank_dropout, network.module_dropout)
    if not part.rank:  # comes from a file, rank and all
        return
    weight = layer.base_layer.weight.detach()
    on_input = network.algorithm == "ia3" and re.fullmatch(IA3_ON_INPUT, part.place.name) is not None
    tensors = fresh(network, weight.mT if on_input else weight, part.rank, generator)
    if network.decompose and weight.dim() > 1:
        tensors[MAGNITUDE] = input_norms(weight.float())
    layer.fill(tensors, part.alpha, on_input)


def _check_ranks(
    planned: Mapping[str, Part], entries: Mapping[str, Entry], old: Mapping[str, Any], learning: Collection[int]
) -> None:
    """Refuse to go on from a file with other ranks, another kind of network, or layers that the settings leave out."""
    for key, place in old.items():
        if place.component not in learning:
            continue
        tensors = entries[key].tensors
        kind = kind_of(tensors)
        rank = rank_of(kind, tensors) if kind else None
        if key not in planned or (rank is not None and rank != planned[key].rank):
            wanted = planned[key].rank if key in planned else 0
            raise BadSettings(
                "network_weights_rank", field="network_weights", layer=key, rank=rank or "?", wanted=wanted
            )
