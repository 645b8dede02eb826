"""How a network learns: first gradients, dropout, norms, rates, block by block, and going on from a file."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lora_trainer.adapter.base import merged
from lora_trainer.adapter.inject import Adapter, inject
from lora_trainer.adapter.layer import AdaptedLayer, Dropout
from lora_trainer.adapter.layers import eject, layers_of, load_lora, state_of, weighted
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.errors import BadSettings
from lora_trainer.settings import OptimizerSettings
from tests.adapter.models import (
    FAMILIES,
    RATES,
    TYPES,
    assert_same,
    network,
    outputs,
    parts_of,
    save,
    unet_output,
    with_adapter,
)

UNET_ONLY = OptimizerSettings(unet_lr=1.0)


@pytest.fixture
def parts() -> Parts:
    return parts_of(FAMILIES["SD1"])


class PlainLora(torch.nn.Module):
    """The method as its paper writes it: W x + alpha / r B A x."""

    def __init__(self, layer: Any, down: torch.Tensor, alpha: float) -> None:
        super().__init__()
        self.layer, self.alpha = layer, alpha
        self.down = torch.nn.Parameter(down.clone())
        self.up = torch.nn.Parameter(torch.zeros(layer.weight.shape[0], down.shape[0], *(1,) * (down.dim() - 2)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if isinstance(self.layer, torch.nn.Conv2d):
            inner = torch.conv2d(x, self.down, None, self.layer.stride, self.layer.padding)
            return self.layer(x) + self.alpha / self.down.shape[0] * torch.conv2d(inner, self.up)
        return self.layer(x) + self.alpha / self.down.shape[0] * (x @ self.down.T) @ self.up.T


def test_the_first_gradients_are_those_of_plain_torch(parts: Parts) -> None:
    reference = copy.deepcopy(parts.unet)
    inject(parts, network("LoCon"), UNET_ONLY, seed=1)
    ours = layers_of(parts.unet)
    plain = {}
    for name, layer in ours.items():
        parent, _, child = name.rpartition(".")
        plain[name] = PlainLora(reference.get_submodule(name), layer.factors["lora_down"].detach(), layer.alpha)
        setattr(reference.get_submodule(parent), child, plain[name])
    unet_output(parts.unet).square().mean().backward()
    unet_output(reference).square().mean().backward()
    for name, layer in ours.items():
        for mine, theirs in (
            (layer.factors["lora_up"], plain[name].up),
            (layer.factors["lora_down"], plain[name].down),
        ):
            assert mine.grad is not None and theirs.grad is not None
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=1e-5 * float(theirs.grad.abs().max()))
    assert max(float(layer.factors["lora_up"].grad.abs().max()) for layer in ours.values()) > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_begins_as_the_model_and_learns(parts: Parts, kind: str) -> None:
    before = outputs(parts)
    adapter = inject(parts, network(kind), UNET_ONLY, seed=1)
    assert_same(outputs(parts), before, relative=1e-6)
    assert all(parameter.dtype == torch.float32 and parameter.requires_grad for parameter in adapter.parameters)
    optimizer = torch.optim.SGD(adapter.groups(), lr=1.0)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = unet_output(parts.unet).square().mean()
        loss.backward()
        losses.append(float(loss))
        optimizer.step()
    assert losses[2] < losses[1] < losses[0]


def test_nothing_but_the_adapter_has_gradients(parts: Parts) -> None:
    adapter = inject(parts, network("LoCon"), RATES, seed=1)
    learns = {id(parameter) for parameter in adapter.parameters}
    modules = (parts.unet, *(encoder.module for encoder in parts.text_encoders))
    assert learns == {id(p) for module in modules for p in module.parameters() if p.requires_grad}
    adapter.close()
    assert not any(p.requires_grad for module in modules for p in module.parameters())


def test_the_same_seed_gives_the_same_start_whatever_else_draws(parts: Parts) -> None:
    first = inject(parts, network("LoHa"), RATES, seed=7).parameters
    torch.rand(5)
    second = inject(parts_of(FAMILIES["SD1"]), network("LoHa"), RATES, seed=7).parameters
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    other = inject(parts_of(FAMILIES["SD1"]), network("LoHa"), RATES, seed=8).parameters
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def linear_layer(dropout: Dropout) -> AdaptedLayer:
    """A frozen layer of zeros with a LoRA of ones: 64 inputs, 16 ranks, 1 output."""
    base = torch.nn.Linear(64, 1, bias=False)
    torch.nn.init.zeros_(base.weight)
    layer = AdaptedLayer(base)
    layer.fill({"lora_down": torch.ones(16, 64) / 64, "lora_up": torch.ones(1, 16) / 16}, alpha=16.0)
    layer.dropout = dropout
    return layer


@pytest.mark.parametrize("dropout", [Dropout(inputs=0.25), Dropout(ranks=0.25), Dropout(layer=0.25)])
def test_dropout_leaves_out_as_often_as_asked(dropout: Dropout) -> None:
    torch.manual_seed(0)
    layer, x = linear_layer(dropout), torch.ones(4000, 64)
    if dropout.layer:
        given = torch.stack([layer.train()(x[:1]) for _ in range(4000)]).flatten()
        assert float((given == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    else:  # what is left counts more, so that the mean stays; n of N are left in N (1 - p) / n units
        given = layer.train()(x).flatten()
        count = 64 if dropout.inputs else 16
        assert float(given.mean()) == pytest.approx(1, abs=0.02)
        assert float(given.var()) == pytest.approx(0.25 / 0.75 / count, rel=0.1)
    torch.testing.assert_close(layer.eval()(x), torch.ones(4000, 1))


def test_rank_dropout_of_rebuilt_weights_leaves_out_outputs() -> None:
    layer = AdaptedLayer(torch.nn.Linear(2, 4000, bias=False))
    layer.fill({"lokr_w1": torch.ones(1, 1), "lokr_w2": torch.ones(4000, 2)})
    torch.manual_seed(0)
    rows = layer.change(rank_dropout=0.25)[:, 0]
    assert float((rows == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(rows[rows != 0], torch.full_like(rows[rows != 0], 4 / 3))


@pytest.mark.parametrize("kind", TYPES)
def test_no_change_grows_beyond_its_longest_norm(parts: Parts, kind: str) -> None:
    adapter = with_adapter(parts, network(kind, scale_weight_norms=0.05))
    before = [_product(layer) for layer in layers_of(parts.unet).values()]
    adapter.after_step()
    after = [_product(layer) for layer in layers_of(parts.unet).values()]
    assert max(float(change.norm()) for change in before) > 0.06
    for old, new in zip(before, after, strict=True):
        wanted = old * min(1.0, 0.05 / float(old.norm()))
        torch.testing.assert_close(new, wanted, rtol=1e-4, atol=1e-6)


def _product(layer: AdaptedLayer) -> torch.Tensor:
    """The scaled change without DoRA's magnitudes, which kohya's rule does not speak of."""
    bare = AdaptedLayer(layer.base_layer)
    bare.fill({n: t.detach() for n, t in layer.factors.items() if n != "dora_scale"}, layer.alpha, layer.on_input)
    return bare.change().detach()


def test_groups_have_the_rates_of_component_block_and_loraplus() -> None:
    parts = parts_of(FAMILIES["SDXL"])
    rates = OptimizerSettings(unet_lr=1.0, text_encoder_lr=0.1, text_encoder_lr2=0.01, loraplus_lr_ratio=16.0)
    settings = network("LoRA", network_args=("loraplus_text_encoder_lr_ratio=2",), mid_lr_weight="0.5,0.5,0.5")
    adapter = inject(parts, settings, rates, seed=1)
    found = {(group["name"], round(group["lr"], 6)): len(group["params"]) for group in adapter.groups()}
    middle = 2 * 10 + 2  # two transformer blocks of ten linears, proj_in and proj_out
    others = sum(group["name"] == "unet" and len(group["params"]) for group in adapter.groups()) // 2 - middle
    assert found == {
        ("unet", 1.0): others,
        ("unet", 16.0): others,
        ("unet", 0.5): middle,
        ("unet", 8.0): middle,
        **{("text_encoder1", rate): 12 for rate in (0.1, 0.2)},
        **{("text_encoder2", rate): 12 for rate in (0.01, 0.02)},
    }
    assert sum(len(group["params"]) for group in adapter.groups()) == len(adapter.parameters)


def test_no_rate_no_layer(parts: Parts) -> None:
    adapter = inject(parts, network("LoRA"), UNET_ONLY, seed=1)
    assert adapter.trains(0) and not adapter.trains(1)
    assert not layers_of(parts.text_encoders[0].module)
    adapter.close()
    for settings, rates, key in (
        (network("LoRA"), OptimizerSettings(unet_lr=0.0), "nothing_to_train"),
        (network("LoRA", block_dims=",".join("0" * 25)), UNET_ONLY, "network_nothing"),
        (network("LoRA", block_dims="4,4"), UNET_ONLY, "network_blocks_count"),
    ):
        with pytest.raises(BadSettings) as caught:
            inject(parts, settings, rates, seed=1)
        assert caught.value.key == key
    assert not layers_of(parts.unet)


def test_blocks_have_their_own_ranks_and_alphas(parts: Parts) -> None:
    ranks = ",".join(str(i % 4) for i in range(25))  # input blocks 4, 8, ... get none, neither does the middle (12)
    conv_ranks = ",".join("2" if i == 5 else "0" for i in range(25))
    alphas = ",".join(["3"] * 25)
    settings = network("LoRA", block_dims=ranks, block_alphas=alphas, conv_block_dims=conv_ranks)
    inject(parts, settings, UNET_ONLY, seed=1)
    layers = layers_of(parts.unet)
    assert layers["down_blocks.0.attentions.0.proj_in"].rank == 1  # block 1
    assert layers["down_blocks.0.attentions.1.proj_in"].rank == 2
    assert layers["down_blocks.1.attentions.1.proj_in"].rank == 1  # block 5
    assert layers["down_blocks.1.attentions.1.proj_in"].alpha == 3.0
    assert "down_blocks.1.attentions.0.proj_in" not in layers  # block 4
    assert not any(name.startswith("mid_block") for name in layers)
    convolutions = {name: layer for name, layer in layers.items() if name.endswith((".conv1", ".conv2", ".conv"))}
    assert set(convolutions) == {f"down_blocks.1.resnets.1.conv{i}" for i in (1, 2)}
    assert all((layer.rank, layer.alpha) == (2, 2.0) for layer in convolutions.values())


def test_a_rate_of_zero_leaves_the_block_out(parts: Parts) -> None:
    inject(parts, network("LoRA", down_lr_weight="zeros", up_lr_weight="0.2,0.2,0.2,1"), UNET_ONLY, seed=1)
    assert not any(name.startswith("down_blocks") for name in layers_of(parts.unet))
    eject(parts)
    args = ("block_lr_zero_threshold=0.2",)
    inject(parts, network("LoRA", up_lr_weight="0.2,0.2,0.2,0.2,1", network_args=args), UNET_ONLY, seed=1)
    names = set(layers_of(parts.unet))
    assert "up_blocks.1.attentions.0.proj_in" not in names and "up_blocks.1.attentions.1.proj_in" in names


def test_rank_stabilised_scale_is_what_other_programs_compute(parts: Parts) -> None:
    inject(parts, network("LoRA", network_dim=16, network_alpha=8.0, rank_stabilized=True), UNET_ONLY, seed=1)
    state = state_of(parts, torch.float16)
    alphas = {float(tensor) for name, tensor in state.items() if name.endswith(".alpha")}
    assert alphas == {32.0}  # 32 / 16 = 8 / √16
    assert {layer.scale for layer in layers_of(parts.unet).values()} == {2.0}


@pytest.mark.parametrize("kind", TYPES)
def test_training_goes_on_from_a_file(parts: Parts, kind: str, tmp_path: Path) -> None:
    with_adapter(parts, network(kind, network_dim=3, network_alpha=1.5, conv_dim=2))
    file, trained = save(parts, tmp_path / "old.safetensors"), outputs(parts)
    eject(parts)
    again = inject(parts, network(kind, network_weights=str(file), dim_from_weights=True), RATES, seed=5)
    assert_same(outputs(parts), trained, relative=1e-6)
    state = state_of(parts, torch.float32)
    assert all(torch.equal(tensor, state[name]) for name, tensor in load_file(file).items())
    assert all(parameter.requires_grad for parameter in again.parameters)
    again.close()

    unet_alone = inject(parts, network(kind, network_weights=str(file), dim_from_weights=True), UNET_ONLY, seed=5)
    assert_same(outputs(parts), trained, relative=1e-6)  # the text encoder's part stays, frozen
    assert not unet_alone.trains(1)
    assert state_of(parts, torch.float32).keys() == load_file(file).keys()


def test_a_file_of_another_rank_is_refused(parts: Parts, tmp_path: Path) -> None:
    with_adapter(parts, network("LoRA", network_dim=3))
    file = save(parts, tmp_path / "old.safetensors")
    eject(parts)
    with pytest.raises(BadSettings) as caught:
        inject(parts, network("LoRA", network_weights=str(file)), RATES, seed=1)
    assert caught.value.key == "network_weights_rank"
    assert not layers_of(parts.unet)
    inject(parts, network("LoRA", network_dim=3, network_weights=str(file)), RATES, seed=1)


def test_base_loras_change_copies_only(parts: Parts, tmp_path: Path) -> None:
    plain = outputs(parts)
    with_adapter(parts, network("DoRA", network_args=("train_norm=True",)))
    file = save(parts, tmp_path / "base.safetensors")
    with weighted(parts, 0.5):
        half = outputs(parts)
    eject(parts)
    shared = {name: (p.data_ptr(), p.clone()) for name, p in parts.unet.named_parameters()}
    settings = network("LoRA", base_weights=(str(file),), base_weights_multiplier="0.5")
    with merged(parts, settings):
        assert_same(outputs(parts), half, relative=1e-5)
        adapter = inject(parts, settings, UNET_ONLY, seed=1)
        assert_same(outputs(parts), half, relative=1e-5)
        adapter.close()
    for name, parameter in parts.unet.named_parameters():
        pointer, values = shared[name]
        assert parameter.data_ptr() == pointer and torch.equal(parameter, values)
    assert all(torch.equal(a, b) for a, b in zip(outputs(parts), plain, strict=True))


def test_a_second_file_replaces_the_first(parts: Parts, tmp_path: Path) -> None:
    files = []
    for kind in ("LoHa", "LoCon"):
        with_adapter(parts, network(kind))
        files.append((save(parts, tmp_path / f"{kind}.safetensors"), outputs(parts)))
        eject(parts)
    for file, wanted in files:
        load_lora(parts, file)
        assert_same(outputs(parts), wanted, relative=1e-6)
    assert not any(parameter.requires_grad for parameter in parts.unet.parameters())


def test_it_works_in_half_precision_with_and_without_autocast(parts: Parts) -> None:
    for kind in ("LoRA", "DoRA"):
        adapter: Adapter = with_adapter(parts, network(kind, network_args=("train_norm=True",)))
        wanted = unet_output(parts.unet)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            under_autocast = unet_output(parts.unet)
        under_autocast.square().mean().backward()
        assert all(p.grad is None or p.grad.dtype == torch.float32 for p in adapter.parameters)
        assert float((under_autocast - wanted).norm() / wanted.norm()) < 0.05
        adapter.close()
    layer = linear_layer(Dropout())
    layer.base_layer.bfloat16()
    assert layer(torch.ones(1, 64, dtype=torch.bfloat16)).dtype == torch.bfloat16
