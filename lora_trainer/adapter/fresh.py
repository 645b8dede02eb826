"""A new adapter's tensors: a random side and a side of zeros, so that it begins by changing nothing.

All are drawn on the CPU in fp32 from one generator: the same seed gives the same weights everywhere.
"""

from __future__ import annotations

import math

import torch
from peft.tuners.lokr.layer import factorization

from lora_trainer.adapter.arguments import Network

SMALL = 0.1  # LyCORIS' deviation of LoHa's second side and of its cores


def fresh(network: Network, weight: torch.Tensor, rank: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """The tensors of one layer's adapter, for its weight (O, I) or (O, I, k, k); for a norm's weight (C,)."""
    if weight.dim() == 1:
        return {"w_norm": torch.zeros(weight.shape), "b_norm": torch.zeros(weight.shape)}
    shape = tuple(weight.shape)
    kernel = shape[2:] if math.prod(shape[2:]) > 1 else ()
    if network.algorithm == "lora":
        return _lora(shape, rank, network.tucker and bool(kernel), generator)
    if network.algorithm == "loha":
        return _loha(shape, rank, network.tucker and bool(kernel), generator)
    if network.algorithm == "lokr":
        return _lokr(network, shape, rank, generator)
    return {"weight": torch.zeros(shape[0])}


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """kaiming_uniform with a = √5, as kohya's and peft's: within ±1 / √fan_in."""
    bound = math.prod(shape[1:]) ** -0.5
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def _normal(shape: tuple[int, ...], std: float, generator: torch.Generator) -> torch.Tensor:
    return torch.empty(shape).normal_(std=std, generator=generator)


def _lora(shape: tuple[int, ...], rank: int, core: bool, generator: torch.Generator) -> dict[str, torch.Tensor]:
    outputs, inputs, *kernel = shape
    ones = (1,) * len(kernel)
    tensors = {"lora_down": _uniform((rank, inputs, *(ones if core else kernel)), generator)}
    if core:
        tensors["lora_mid"] = _uniform((rank, rank, *kernel), generator)
    return {**tensors, "lora_up": torch.zeros(outputs, rank, *ones)}


def _loha(shape: tuple[int, ...], rank: int, core: bool, generator: torch.Generator) -> dict[str, torch.Tensor]:
    outputs, inputs, *kernel = shape
    inner = inputs if core else inputs * math.prod(kernel)
    outer = (rank, outputs) if core else (outputs, rank)
    tensors = {
        "hada_w1_a": _normal(outer, SMALL, generator),
        "hada_w1_b": _normal((rank, inner), 1.0, generator),
        "hada_w2_a": torch.zeros(outer),
        "hada_w2_b": _normal((rank, inner), 1.0, generator),
    }
    if core:
        tensors |= {f"hada_t{half}": _normal((rank, rank, *kernel), SMALL, generator) for half in (1, 2)}
    return tensors


def _lokr(network: Network, shape: tuple[int, ...], rank: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """The weight as a Kronecker product of a small and a large part; a part too small for the rank stays whole."""
    outputs, inputs, *kernel = shape
    out_small, out_large = factorization(outputs, network.factor)
    in_small, in_large = factorization(inputs, network.factor)
    if network.unbalanced:
        out_small, out_large = out_large, out_small
    core = network.tucker and math.prod(kernel) > 1

    if network.decompose_both and not network.full_matrix and rank < max(out_small, in_small) / 2:
        tensors = {
            "lokr_w1_a": _uniform((out_small, rank), generator),
            "lokr_w1_b": _uniform((rank, in_small), generator),
        }
    else:
        tensors = {"lokr_w1": _uniform((out_small, in_small), generator)}
    if network.full_matrix or rank >= max(out_large, in_large) / 2:
        return {**tensors, "lokr_w2": torch.zeros(out_large, in_large, *kernel)}
    if core:
        tensors["lokr_t2"] = _uniform((rank, rank, *kernel), generator)
    tensors["lokr_w2_a"] = _uniform((rank, out_large) if core else (out_large, rank), generator)
    tensors["lokr_w2_b"] = torch.zeros(rank, in_large * (1 if core else math.prod(kernel)))
    return tensors
