"""Every optimizer learns, goes on from its state as if it had never stopped, and is refused where it can not work."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lora_trainer.settings.training import OPTIMIZERS, OptimizerSettings
from lora_trainer.training.optimizers import (
    KINDS,
    averaged,
    check_optimizer,
    effective_rate,
    make_optimizer,
    optimizer_label,
    uses_schedule,
)
from lora_trainer.training.state import read_state, write_state

CPU = torch.device("cpu")
ON_CUDA = tuple(name for name in OPTIMIZERS if "8bit" in name)
ON_CPU = tuple(name for name in OPTIMIZERS if name not in ON_CUDA)
# What makes them move visibly in a few steps.
RATES = {"Lion": 0.01, "SGDNesterov": 0.05, "SGDScheduleFree": 0.5} | dict.fromkeys(ON_CUDA, 0.01)
ARGUMENTS = {
    **{name: ("d0=0.01",) for name in OPTIMIZERS if name.startswith(("DAdapt", "Prodigy"))},
    "DAdaptSGD": ("d0=0.01", "growth_rate=1.02"),
}


def settings_of(name: str, *arguments: str, **values: Any) -> OptimizerSettings:
    values = {"unet_lr": RATES.get(name, 1.0 if "d0" in str(ARGUMENTS.get(name)) else 0.02), **values}
    return OptimizerSettings(optimizer_type=name, optimizer_args=arguments or ARGUMENTS.get(name, ()), **values)


class Toy:
    """A line to be fitted by a product of two matrices, as a LoRA is one, in two groups."""

    def __init__(self, settings: OptimizerSettings, device: torch.device = CPU, width: int = 8) -> None:
        generator = torch.Generator().manual_seed(1)
        drawn = [torch.randn(shape, generator=generator) for shape in ((64, width), (width, width), (4, width))]
        self.inputs, wanted = drawn[0].to(device), drawn[1].to(device)
        self.wanted = self.inputs @ wanted
        self.down = torch.nn.Parameter((0.3 * drawn[2]).to(device))
        self.up = torch.nn.Parameter(torch.full((width, 4), 0.01, device=device))
        self.weights = [self.down, self.up]
        groups = [{"params": [weight], "lr": settings.unet_lr} for weight in self.weights]
        self.optimizer = make_optimizer(groups, settings, device)

    def loss(self) -> torch.Tensor:
        return (self.inputs @ self.down.T @ self.up.T - self.wanted).square().mean()

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.loss().backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    def used_loss(self) -> float:
        with averaged(self.optimizer), torch.no_grad():
            return float(self.loss())


def test_every_suggested_optimizer_is_known() -> None:
    assert tuple(KINDS) == OPTIMIZERS


@pytest.mark.parametrize("name", ON_CPU)
def test_it_learns(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    settings = settings_of(name)
    check_optimizer(settings, "cpu")
    toy = Toy(settings)
    before = toy.used_loss()
    toy.steps(75)
    assert toy.used_loss() < 0.99 * before
    assert effective_rate(toy.optimizer) > 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_learns_and_goes_on_with_cuda(name: str, tmp_path: Path) -> None:
    pytest.importorskip(KINDS[name].path.partition(".")[0])
    settings, cuda = settings_of(name), torch.device("cuda")
    check_optimizer(settings, "cuda")
    toy = Toy(settings, cuda, width=1024)  # 8-bit states begin at 4096 numbers
    before = toy.used_loss()
    toy.steps(20)
    assert toy.used_loss() < before
    goes_on(toy, Toy(settings, cuda, width=1024), tmp_path)


@pytest.mark.parametrize("name", ON_CPU)
def test_it_goes_on_from_its_state(name: str, tmp_path: Path) -> None:
    settings = settings_of(name)
    toy = Toy(settings)
    toy.steps(7)
    goes_on(toy, Toy(settings), tmp_path)


def goes_on(toy: Toy, other: Toy, folder: Path) -> None:
    """The other is given the state, through a file, and both take the same steps bit by bit."""
    weights = [weight.detach().clone() for weight in toy.weights]
    write_state(folder / "state.safetensors", toy.optimizer.state_dict())
    # Copied: where a tensor begins in memory decides how its sums are rounded, and a file's may begin anywhere.
    other.optimizer.load_state_dict(copy.deepcopy(read_state(folder / "state.safetensors")))
    with torch.no_grad():
        for weight, kept in zip(other.weights, weights, strict=True):
            weight.copy_(kept)
    for one in (toy, other):
        one.steps(5)
    for weight, expected in zip(other.weights, toy.weights, strict=True):
        assert torch.equal(weight, expected)
        assert not torch.equal(weight, weights[0] if weight.shape == weights[0].shape else weights[1])


@pytest.mark.parametrize("name", ["AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree"])
def test_looking_at_the_average_changes_nothing(name: str) -> None:
    looked, other = Toy(settings_of(name)), Toy(settings_of(name))
    for toy in (looked, other):
        toy.steps(8)
    trained = looked.down.detach().clone()
    with averaged(looked.optimizer):
        average = looked.down.detach().clone()
        with averaged(looked.optimizer):
            assert torch.equal(looked.down, average)
        assert torch.equal(looked.down, average)
    assert not torch.equal(average, trained)
    for toy in (looked, other):
        toy.steps(3)
    assert torch.equal(looked.down, other.down)


def test_the_average_is_the_mean_of_the_iterates() -> None:
    # Equal weights c = 1 / (k + 1) average z, arXiv 2405.15682 eq. (5); without momentum, z is plain gradient descent.
    toy = Toy(settings_of("SGDScheduleFree", "momentum=0.9", unet_lr=0.1, weight_decay=0.0))
    iterates = []
    for _ in range(6):
        toy.steps(1)
        iterates.append(toy.optimizer.state[toy.down]["z"].clone())
    with averaged(toy.optimizer):
        torch.testing.assert_close(toy.down.detach(), torch.stack(iterates).mean(dim=0))


def test_others_have_no_average() -> None:
    toy = Toy(settings_of("AdamW"))
    toy.steps(2)
    trained = toy.down.detach().clone()
    with averaged(toy.optimizer):
        assert torch.equal(toy.down, trained)


def test_adamw_is_torchs() -> None:
    toy, own = Toy(settings_of("adamw", "betas=(0.8, 0.9)", weight_decay=0.1)), Toy(settings_of("AdamW"))
    own.optimizer = torch.optim.AdamW(own.weights, lr=0.02, betas=(0.8, 0.9), weight_decay=0.1)
    for one in (toy, own):
        one.steps(5)
    assert torch.equal(toy.down, own.down)


def test_each_group_keeps_its_rate() -> None:
    weights = [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    groups = [{"params": [weight], "lr": rate} for weight, rate in zip(weights, (0.1, 0.01), strict=True)]
    optimizer = make_optimizer(groups, settings_of("Lion", weight_decay=0.0), CPU)
    for weight in weights:
        weight.grad = torch.ones(2, 2)
    optimizer.step()
    assert [float(weight[0, 0]) for weight in weights] == pytest.approx([0.9, 0.99])
    assert groups[0].keys() == {"params", "lr"}


@pytest.mark.parametrize("name", ["AdamW", "Prodigy", "DAdaptAdam", "DAdaptation", "Lion", "CAME"])
def test_weight_decay_pulls_apart_from_the_gradient(name: str) -> None:
    # From a gradient that is zero but for one weight, AdamW's decay shrinks the others by the same share.
    settings = settings_of(name, *ARGUMENTS.get(name, ()), weight_decay=0.5)
    weight = torch.nn.Parameter(torch.full((4, 4), 2.0))
    optimizer = make_optimizer([{"params": [weight], "lr": settings.unet_lr}], settings, CPU)
    for _ in range(2):
        weight.grad = torch.zeros(4, 4)
        weight.grad[0, 0] = 1.0
        optimizer.step()
    assert 1.5 < float(weight[3, 3]) < 2.0  # as part of the gradient it would be a whole step of Adam


def test_weight_decay_may_be_an_argument() -> None:
    optimizer = Toy(settings_of("AdamW", "weight_decay=0.25", weight_decay=0.1)).optimizer
    assert optimizer.param_groups[0]["weight_decay"] == 0.25
    coupled = Toy(settings_of("DAdaptAdam", "weight_decay=0.25")).optimizer
    assert (coupled.param_groups[0]["weight_decay"], coupled.param_groups[0]["decouple"]) == (0.25, False)


def test_nesterov_has_kohyas_momentum() -> None:
    group = Toy(settings_of("SGDNesterov")).optimizer.param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.9, True)
    assert Toy(settings_of("SGDNesterov", "momentum=0.5")).optimizer.param_groups[0]["momentum"] == 0.5


def test_adafactor_takes_its_own_rate_unless_told() -> None:
    own, told = settings_of("adafactor"), settings_of("AdaFactor", "relative_step=False", "scale_parameter=False")
    assert (uses_schedule(own), uses_schedule(told)) == (False, True)
    toy, other = Toy(own), Toy(settings_of("adafactor", unet_lr=5.0))
    assert effective_rate(toy.optimizer) == 0
    for one in (toy, other):
        one.steps(3)
    assert torch.equal(toy.down, other.down)
    assert effective_rate(Toy(told).optimizer) == told.unet_lr


def test_who_follows_the_schedule() -> None:
    free = {name for name in OPTIMIZERS if not uses_schedule(settings_of(name))}
    assert free == {"AdaFactor", "AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree"}
    assert not uses_schedule(settings_of("prodigyplus.ProdigyPlusScheduleFree"))


def test_the_rate_that_was_found_counts() -> None:
    toy = Toy(settings_of("Prodigy", "d0=0.001", unet_lr=0.5))
    toy.steps(10)
    assert effective_rate(toy.optimizer) == 0.5 * toy.optimizer.param_groups[0]["d"]
    assert toy.optimizer.param_groups[0]["d"] > 0.001


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        (OptimizerSettings(), "torch.optim.adamw.AdamW(weight_decay=0.01)"),
        (settings_of("SGDNesterov"), "torch.optim.sgd.SGD(nesterov=True,momentum=0.9,weight_decay=0.01)"),
        (
            settings_of("lion", "betas=(0.8, 0.9)"),
            "lion_pytorch.lion_pytorch.Lion(weight_decay=0.01,betas=(0.8, 0.9))",
        ),
        (settings_of("torch.optim.Rprop"), "torch.optim.rprop.Rprop"),
    ],
)
def test_the_label_is_kohyas(settings: OptimizerSettings, label: str) -> None:
    assert optimizer_label(settings) == label


@pytest.mark.parametrize("name", ["torch.optim.NAdam", "NAdam", "lion_pytorch.cautious_lion.Lion"])
def test_any_class_may_be_named(name: str) -> None:
    check_optimizer(settings_of(name), "cpu")
    toy = Toy(settings_of(name, unet_lr=0.01))
    before = toy.used_loss()
    toy.steps(20)
    assert toy.used_loss() < before


def test_no_library_is_imported_before_it_is_asked_for() -> None:
    libraries = {kind.path.partition(".")[0] for kind in KINDS.values()} - {
        "torch",
        "transformers",
    }  # torch 2.1 takes transformers in
    code = f"""
import sys
from lora_trainer.settings.training import OptimizerSettings
from lora_trainer.training.optimizer_advice import advice
from lora_trainer.training.optimizers import check_optimizer, optimizer_label
for name in {OPTIMIZERS!r}:
    advice(OptimizerSettings(optimizer_type=name, unet_lr=1.0))
check_optimizer(OptimizerSettings(), "cpu")
optimizer_label(OptimizerSettings())
assert not {libraries!r} & sys.modules.keys()
check_optimizer(OptimizerSettings(optimizer_type="Lion"), "cpu")
assert {libraries!r} & sys.modules.keys() == {{"lion_pytorch"}}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
