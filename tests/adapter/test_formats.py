"""Files of every type mean to the WebUI what they mean here, and what LyCORIS' own modules make of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lora_trainer.adapter.layers import eject, load_lora, state_of, weighted
from lora_trainer.checkpoint.adopt import Parts
from tests.adapter.models import FAMILIES, TYPES, assert_same, change_of, network, outputs, parts_of, save, with_adapter

VARIANTS = [
    *((kind, ()) for kind in TYPES),
    ("LoRA", ("conv_dim=3", "conv_alpha=1", "use_tucker=True", "train_norm=True")),
    ("LoHa", ("conv_dim=3",)),
    ("LoHa", ("conv_dim=3", "use_tucker=True", "dora_wd=True")),
    ("LoKr", ("conv_dim=2", "factor=4", "decompose_both=True")),
    ("LoKr", ("conv_dim=2", "factor=4", "use_tucker=True")),
    ("LoKr", ("conv_dim=2", "full_matrix=True", "unbalanced_factorization=True")),
    ("DoRA", ("preset=full", "conv_dim=3")),
    ("LoRA", ("rs_lora=True",)),
]


def layers_by_key(parts: Parts) -> dict[str, torch.nn.Module]:
    """Every layer by its name in the file (SD1 and SD2: diffusers' words; SDXL: LDM's)."""
    found = {}
    for name, layer in parts.unet.named_modules():
        try:
            found[f"lora_unet_{parts.family.unet_key(name)}"] = layer
        except ValueError:
            continue
    for encoder in parts.text_encoders:
        for name, layer in encoder.module.named_modules():
            found[f"{encoder.prefix}_text_model_{name.removeprefix('text_model.').replace('.', '_')}"] = layer
    return found


def webui_change(w: Mapping[str, torch.Tensor], original: torch.Tensor) -> torch.Tensor:
    """The change of a weight, from the WebUI 1.10.1's network_lora, _hada, _lokr, _ia3 and network.finalize_updown."""
    dim = None
    if "lora_up.weight" in w:
        up, down = w["lora_up.weight"].flatten(1), w["lora_down.weight"].flatten(1)
        dim = down.shape[0]
        if "lora_mid.weight" in w:
            updown = torch.einsum("nmkl,in,mj->ijkl", w["lora_mid.weight"], up, down)
        else:
            updown = up @ down
    elif "hada_w1_a" in w:
        dim = w["hada_w1_b"].shape[0]
        halves = []
        for i in (1, 2):
            a, b = w[f"hada_w{i}_a"], w[f"hada_w{i}_b"]
            core = w.get(f"hada_t{i}")
            if core is None:
                halves.append(a @ b)
            else:
                step = torch.einsum("ijkl,jr->irkl", core, b)
                halves.append(torch.einsum("ijkl,ir->rjkl", step, a))
        updown = halves[0] * halves[1]
    elif "on_input" in w:
        along = w["weight"] if w["on_input"].item() else w["weight"].reshape(-1, 1)
        updown = original * along
    else:
        one, two, core = w.get("lokr_w1"), w.get("lokr_w2"), w.get("lokr_t2")
        if one is None:
            one, dim = w["lokr_w1_a"] @ w["lokr_w1_b"], w["lokr_w1_b"].shape[0]
        if two is None:
            a, b = w["lokr_w2_a"], w["lokr_w2_b"]
            dim = b.shape[0]
            step = None if core is None else torch.einsum("ijkl,jr->irkl", core, b)
            two = a @ b if step is None else torch.einsum("ijkl,ir->rjkl", step, a)
        updown = torch.kron(one[:, :, None, None] if two.dim() == 4 else one, two.contiguous())
    updown = updown.reshape(original.shape) * (w["alpha"].item() / dim if dim and "alpha" in w else 1.0)
    if "dora_scale" in w:
        merged = updown + original
        norm = merged.transpose(0, 1).reshape(merged.shape[1], -1).norm(dim=1, keepdim=True)
        norm = norm.reshape(merged.shape[1], *[1] * (original.dim() - 1)).transpose(0, 1)
        updown = merged * (w["dora_scale"] / norm) - original
    return updown


def merge_as_webui(parts: Parts, file: Path, multiplier: float) -> None:
    """Change the weights of fresh parts as the WebUI would."""
    layers, grouped = layers_by_key(parts), {}
    for name, tensor in load_file(file).items():
        key, _, rest = name.partition(".")
        grouped.setdefault(key, {})[rest] = tensor
    for key, w in grouped.items():
        layer = layers[key]
        if "w_norm" in w:
            layer.weight.data = layer.weight + w["w_norm"] * multiplier
            layer.bias.data = layer.bias + w["b_norm"] * multiplier
        else:
            layer.weight.data = layer.weight + webui_change(w, layer.weight) * multiplier


@pytest.mark.parametrize(
    ("kind", "args", "family"),
    [*((*variant, "SD1") for variant in VARIANTS), *((kind, (), name) for kind in TYPES for name in ("SD2", "SDXL"))],
)
def test_the_webui_applies_what_was_trained(kind: str, args: tuple[str, ...], family: str, tmp_path: Path) -> None:
    parts = parts_of(FAMILIES[family])
    plain = outputs(parts)
    with_adapter(parts, network(kind, network_args=args))
    trained, file = outputs(parts), save(parts, tmp_path / "x.safetensors")
    assert change_of(plain, trained) > 0.003
    with weighted(parts, 0.6):
        weaker = outputs(parts)

    for weight, ours in ((1.0, trained), (0.6, weaker)):
        theirs = parts_of(FAMILIES[family])
        merge_as_webui(theirs, file, weight)
        assert_same(ours, outputs(theirs), relative=1e-3)

    again = parts_of(FAMILIES[family])
    load_lora(again, file)
    assert_same(outputs(again), trained, relative=1e-6)
    with weighted(again, 0.0):
        assert all(torch.equal(a, b) for a, b in zip(outputs(again), plain, strict=True))
    state, before = state_of(again, torch.float32), load_file(file)
    assert state.keys() == before.keys()
    assert all(torch.equal(state[name], before[name]) for name in state)
    eject(again)
    assert all(torch.equal(a, b) for a, b in zip(outputs(again), plain, strict=True))


@pytest.mark.skipif(importlib.util.find_spec("lycoris") is None, reason="LyCORIS is there on the stack webui alone")
@pytest.mark.parametrize(("kind", "args"), [variant for variant in VARIANTS if "train_norm=True" not in variant[1]])
def test_lycoris_modules_agree(kind: str, args: tuple[str, ...], tmp_path: Path) -> None:
    from lycoris.modules.ia3 import IA3Module
    from lycoris.modules.locon import LoConModule
    from lycoris.modules.loha import LohaModule
    from lycoris.modules.lokr import LokrModule

    parts = parts_of(FAMILIES["SD1"])
    with_adapter(parts, network(kind, network_args=args))
    ours, file = outputs(parts), save(parts, tmp_path / "x.safetensors")

    theirs, grouped = parts_of(FAMILIES["SD1"]), {}
    for name, tensor in load_file(file).items():
        key, _, rest = name.partition(".")
        grouped.setdefault(key, {})[rest] = tensor
    layers, modules = layers_by_key(theirs), []
    for key, w in grouped.items():
        options = {"alpha": w["alpha"].item()} if "alpha" in w else {}
        options |= {"use_tucker": any(name.endswith(("_t1", "_t2", "mid.weight")) for name in w)}
        options |= {"weight_decompose": "dora_scale" in w, "wd_on_out": False} if "dora_scale" in w else {}
        if kind == "IA3":
            module = IA3Module(key, layers[key], train_on_input=bool(w["on_input"]))
        elif kind == "LoHa":
            module = LohaModule(key, layers[key], lora_dim=w["hada_w1_b"].shape[0], **options)
        elif kind == "LoKr":
            inner = w.get("lokr_w2_b", w.get("lokr_w1_b"))
            options |= {"full_matrix": inner is None, "unbalanced_factorization": "full_matrix=True" in args}
            options |= {"factor": 4 if "factor=4" in args else -1, "decompose_both": "decompose_both=True" in args}
            module = LokrModule(key, layers[key], lora_dim=1 if inner is None else inner.shape[0], **options)
        else:
            module = LoConModule(key, layers[key], lora_dim=w["lora_down.weight"].shape[0], **options)
        # LyCORIS' LoRA matrices of one pixel may be written with or without the pixel's axes.
        own = {name: tensor.shape for name, tensor in torch.nn.Module.state_dict(module).items()}
        module.load_state_dict({n: t.reshape(own[n]) for n, t in w.items() if n in own}, strict=False)
        module.eval().apply_to()
        modules.append(module)
    assert_same(ours, outputs(theirs), relative=1e-3)
