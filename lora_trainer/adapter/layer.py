"""The layer that peft puts in place of a frozen one: the frozen layer, and the adapter's change beside it.

One class serves every kind of network. It costs less than peft's own (no fp32 copy of what comes in, no pass over the
whole output to scale it) and knows what peft lacks: DoRA over inputs, dropout of ranks and of whole layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.utils.checkpoint import checkpoint

from lora_trainer.adapter.deltas import MAGNITUDE, decomposed, delta, kind_of, multiplied, rank_of

ADAPTER = "default"


@dataclass(frozen=True)
class Dropout:
    """How often inputs, ranks and the whole change of a layer are left out while it is in training mode."""

    inputs: float = 0.0
    ranks: float = 0.0
    layer: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.inputs or self.ranks or self.layer)


class AdaptedLayer(torch.nn.Module, BaseTunerLayer):
    """``base_layer`` and an adapter, which has no tensors until it is ``fill``ed.

    Made by peft. ``strength`` multiplies the finished change as the WebUI's weight does; at 0 the layer is the frozen
    one exactly.
    """

    adapter_layer_names = ("lora_factors",)  # peft takes what begins with lora_ for the adapter's

    def __init__(self, base_layer: torch.nn.Module, adapter_name: str = ADAPTER, **_: Any) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.lora_factors = torch.nn.ModuleDict()
        self.adapter_name = adapter_name
        self.kind, self.alpha, self.on_input = "lora", 1.0, False
        self.dropout = Dropout()
        self.strength = 1.0
        self.train(base_layer.training)

    def fill(self, tensors: Mapping[str, torch.Tensor], alpha: float | None = None, on_input: bool = False) -> None:
        """Take these tensors, in fp32 on the frozen layer's device; the former ones are dropped."""
        kind = kind_of(tensors)
        if kind is None:
            raise ValueError(f"no adapter is made of {sorted(tensors)}")
        device = next(self.base_layer.parameters()).device
        held = {
            name: torch.nn.Parameter(tensor.to(device, torch.float32, copy=True)) for name, tensor in tensors.items()
        }
        self.lora_factors[self.adapter_name] = torch.nn.ParameterDict(held)
        rank = rank_of(kind, held)
        self.kind, self.on_input = kind, on_input
        self.alpha = alpha if alpha is not None else float(rank or 1)

    @property
    def factors(self) -> dict[str, torch.nn.Parameter]:
        """The adapter's tensors by their names in files, without ``.weight``."""
        return dict(self.lora_factors[self.adapter_name].items())

    @property
    def rank(self) -> int | None:
        """The rank; None for a kind that has none."""
        return rank_of(self.kind, self.factors)

    @property
    def scale(self) -> float:
        """What the product of the tensors is multiplied with: alpha / rank, where there is a rank."""
        return self.alpha / self.rank if self.rank else 1.0

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """What the frozen layer gives, plus the adapter's part."""
        out: torch.Tensor = self.base_layer(x, *args, **kwargs)
        dropout = self.dropout if self.training else Dropout()
        # Drawn on the CPU, so that the graphics card is not waited for.
        if self.strength == 0 or (dropout.layer and float(torch.rand(())) < dropout.layer):
            return out
        if dropout.inputs:
            x = F.dropout(x, dropout.inputs)
        if self.kind == "lora" and MAGNITUDE not in self.factors:
            return out + self._through_ranks(x, out.dtype, dropout.ranks)
        if not torch.is_grad_enabled():
            return out + self._through_weight(x, out.dtype, dropout.ranks)
        # The rebuilt weight is as large as the frozen one: made anew in the backward pass instead of kept.
        keep_random = bool(dropout.ranks)
        added = checkpoint(
            self._through_weight, x, out.dtype, dropout.ranks, use_reentrant=False, preserve_rng_state=keep_random
        )
        return out + added

    def _through_ranks(self, x: torch.Tensor, dtype: torch.dtype, rank_dropout: float) -> torch.Tensor:
        """up(down(x)), scaled on the small matrix."""
        factors = {name: tensor.to(dtype) for name, tensor in self.factors.items()}
        up = self.factors["lora_up"].mul(self.scale * self.strength).to(dtype)
        if isinstance(self.base_layer, torch.nn.Linear):
            inner = F.linear(x, factors["lora_down"].flatten(1))
            inner = self._without_ranks(inner, (*(1,) * (inner.dim() - 2), inner.shape[-1]), rank_dropout)
            return F.linear(inner, up.flatten(1))
        geometry = self._geometry()
        if "lora_mid" in factors:
            inner = F.conv2d(F.conv2d(x, factors["lora_down"]), factors["lora_mid"], **geometry)
        else:
            inner = F.conv2d(x, factors["lora_down"], **geometry)
        return F.conv2d(self._without_ranks(inner, (inner.shape[1], 1, 1), rank_dropout), up)

    @staticmethod
    def _without_ranks(inner: torch.Tensor, shape: tuple[int, ...], rank_dropout: float) -> torch.Tensor:
        """kohya's rank dropout: each example loses ranks of its own, and the rest is scaled up."""
        if not rank_dropout:
            return inner
        return inner * F.dropout(inner.new_ones((inner.shape[0], *shape)), rank_dropout)

    def _through_weight(self, x: torch.Tensor, dtype: torch.dtype, rank_dropout: float) -> torch.Tensor:
        """What the rebuilt change of the weight makes of x."""
        with torch.autocast(x.device.type, enabled=False):  # a small change of a weight drowns in half precision
            change = self.change(rank_dropout).to(dtype)
        if self.kind == "norm":
            shift = self.factors["b_norm"].mul(self.strength).to(dtype) if "b_norm" in self.factors else None
            return self._normed(x, change, shift)
        if isinstance(self.base_layer, torch.nn.Linear):
            return F.linear(x, change)
        return F.conv2d(x, change, **self._geometry())

    def change(self, rank_dropout: float = 0.0) -> torch.Tensor:
        """The change of the frozen weight, in its shape, as the WebUI computes it, times ``strength``."""
        factors, weight = self.factors, self.base_layer.weight
        change = delta(self.kind, factors, weight, self.on_input) * self.scale
        if rank_dropout:  # LyCORIS' meaning of it where there are no ranks to leave out one by one: outputs
            change = change * F.dropout(change.new_ones((change.shape[0], *(1,) * (change.dim() - 1))), rank_dropout)
        if MAGNITUDE in factors:
            change = decomposed(factors, weight, change)
        return change * self.strength

    @torch.no_grad()
    def limit_norm(self, longest: float) -> None:
        """kohya's ``scale_weight_norms``: shrink the tensors evenly until their scaled product's norm is ``longest``.

        Nothing is read back from the graphics card.
        """
        factors = self.factors
        names = multiplied(self.kind, factors)
        if not names:
            return
        norm = (delta(self.kind, factors, self.base_layer.weight, self.on_input) * self.scale).norm()
        ratio = (longest / norm.clamp(min=longest)) ** (1 / len(names))
        for name in names:
            factors[name].mul_(ratio)

    def _geometry(self) -> dict[str, Any]:
        layer: Any = self.base_layer
        return {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}

    def _normed(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        layer: Any = self.base_layer
        if isinstance(layer, torch.nn.GroupNorm):
            return F.group_norm(x, layer.num_groups, weight, bias, layer.eps)
        return F.layer_norm(x, layer.normalized_shape, weight, bias, layer.eps)
