"""What a layer's adapter adds to its weight, computed from the adapter's tensors as their file format defines it.

A kind is told by its tensors, whose names here are those in files without ``.weight``. W: (O, I) or (O, I, k, k).

- LoRA and LoCon (arXiv 2106.09685): up (O, r), down (r, I) or (r, I, k, k), and mid (r, r, k, k) if decomposed
- LoHa (arXiv 2108.06098): (w1_a w1_b) ⊙ (w2_a w2_b), and cores t1, t2 (r, r, k, k) if decomposed
- LoKr (arXiv 2212.10650): w1 ⊗ w2, either of which may be a product of two
- IA3 (arXiv 2205.05638): W scaled by w - 1 for each output, or each input
- norms: w_norm and b_norm, added as they are
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

Tensors = Mapping[str, torch.Tensor]
# The tensors of each kind; the first are always there.
KINDS = {
    "lora": ("lora_down", "lora_up", "lora_mid"),
    "loha": ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
    "lokr": ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
    "ia3": ("weight",),
    "norm": ("w_norm", "b_norm"),
}
MAGNITUDE = "dora_scale"


def kind_of(names: Iterable[str]) -> str | None:
    """The kind that has tensors of these names; None when it is not a complete one."""
    have = set(names)
    if {"lora_down", "lora_up"} <= have:
        return "lora"
    if set(KINDS["loha"][:4]) <= have:
        return "loha"
    if all({whole} <= have or {f"{whole}_a", f"{whole}_b"} <= have for whole in ("lokr_w1", "lokr_w2")):
        return "lokr"
    return "norm" if "w_norm" in have else "ia3" if "weight" in have else None


def rank_of(kind: str, factors: Tensors) -> int | None:
    """The rank that alpha is divided by; None where there is none and nothing is scaled."""
    if kind == "lokr":
        inner = factors.get("lokr_w2_b", factors.get("lokr_w1_b"))
        return None if inner is None else inner.shape[0]
    outer = {"lora": "lora_down", "loha": "hada_w1_b"}.get(kind)
    return factors[outer].shape[0] if outer else None


def delta(kind: str, factors: Tensors, weight: torch.Tensor, on_input: bool = False) -> torch.Tensor:
    """The change of ``weight``, in its shape, before alpha / rank."""
    if kind == "lora":
        return _product(factors["lora_up"], factors["lora_down"], factors.get("lora_mid")).reshape(weight.shape)
    if kind == "loha":
        first, second = (_hadamard_half(factors, f"hada_w{half}", factors.get(f"hada_t{half}")) for half in (1, 2))
        return (first * second).reshape(weight.shape)
    if kind == "lokr":
        return _kronecker(factors).reshape(weight.shape)
    if kind == "ia3":
        along = factors["weight"].reshape((1, -1) if on_input else (-1, 1))
        return weight.to(along.dtype) * along
    return factors["w_norm"]


def decomposed(factors: Tensors, weight: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """DoRA's change of ``weight`` (arXiv 2402.09353): the changed weight with a learnt norm over each input, less the
    weight.

    Norms over inputs, not outputs, because the WebUI knows no others. They count as constants in the gradient
    (section 4.3 of the paper).
    """
    changed = weight.to(change.dtype) + change
    norm = input_norms(changed.detach())
    return changed * (factors[MAGNITUDE] / norm) - weight.to(change.dtype)


def input_norms(weight: torch.Tensor) -> torch.Tensor:
    """(1, I) or (1, I, 1, 1) norms over everything that one input reaches."""
    return torch.linalg.vector_norm(weight, dim=[0, *range(2, weight.dim())], keepdim=True)


def _product(up: torch.Tensor, down: torch.Tensor, mid: torch.Tensor | None) -> torch.Tensor:
    if mid is None:
        return up.flatten(1) @ down.flatten(1)
    return torch.einsum("pqkl,op,qi->oikl", mid, up.flatten(1), down.flatten(1))


def _from_core(core: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.einsum("pqkl,po,qi->oikl", core, a, b)


def _hadamard_half(factors: Tensors, name: str, core: torch.Tensor | None) -> torch.Tensor:
    a, b = factors[f"{name}_a"], factors[f"{name}_b"]
    return a.flatten(1) @ b.flatten(1) if core is None else _from_core(core, a, b)


def _kronecker(factors: Tensors) -> torch.Tensor:
    left, right = (factors.get(name) for name in ("lokr_w1", "lokr_w2"))
    if left is None:
        left = factors["lokr_w1_a"] @ factors["lokr_w1_b"]
    if right is None:
        a, b, core = factors["lokr_w2_a"], factors["lokr_w2_b"], factors.get("lokr_t2")
        right = a @ b if core is None else _from_core(core, a, b)
    return torch.kron(left.reshape(*left.shape, *(1,) * (right.dim() - 2)), right.contiguous())


def multiplied(kind: str, factors: Tensors) -> list[str]:
    """The tensors in each of which the change is linear: scaling all by the n-th root of a factor scales it by the
    factor. Empty where there is no such change."""
    return [] if kind == "norm" else [name for name in KINDS[kind] if name in factors]
