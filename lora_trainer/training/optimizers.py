"""Optimizers by the libraries that make them. A library is imported only when one of its optimizers is asked for."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from lora_trainer.errors import BadSettings
from lora_trainer.settings.training import OPTIMIZERS, OptimizerSettings


@dataclass(frozen=True)
class Kind:
    """The class behind a name (``module.Class``), and the arguments that kohya's scripts add to it."""

    path: str
    added: dict[str, Any] = field(default_factory=dict)


NESTEROV = {"nesterov": True, "momentum": 0.9}
KINDS = {
    "AdamW": Kind("torch.optim.AdamW"),
    "AdamW8bit": Kind("bitsandbytes.optim.AdamW8bit"),
    "PagedAdamW8bit": Kind("bitsandbytes.optim.PagedAdamW8bit"),
    "Lion": Kind("lion_pytorch.Lion"),
    "Lion8bit": Kind("bitsandbytes.optim.Lion8bit"),
    "PagedLion8bit": Kind("bitsandbytes.optim.PagedLion8bit"),
    "SGDNesterov": Kind("torch.optim.SGD", NESTEROV),
    "SGDNesterov8bit": Kind("bitsandbytes.optim.SGD8bit", NESTEROV),
    "DAdaptation": Kind("dadaptation.experimental.DAdaptAdamPreprint"),
    "DAdaptAdam": Kind("dadaptation.DAdaptAdam"),
    "DAdaptAdaGrad": Kind("dadaptation.DAdaptAdaGrad"),
    "DAdaptAdan": Kind("dadaptation.DAdaptAdan"),
    "DAdaptAdanIP": Kind("dadaptation.experimental.DAdaptAdanIP"),
    "DAdaptLion": Kind("dadaptation.DAdaptLion"),
    "DAdaptSGD": Kind("dadaptation.DAdaptSGD"),
    "AdaFactor": Kind("transformers.optimization.Adafactor", {"relative_step": True}),
    "Prodigy": Kind("prodigyopt.Prodigy"),
    "AdamWScheduleFree": Kind("schedulefree.AdamWScheduleFree"),
    "RAdamScheduleFree": Kind("schedulefree.RAdamScheduleFree"),
    "SGDScheduleFree": Kind("schedulefree.SGDScheduleFree"),
    "CAME": Kind("came_pytorch.CAME"),
}
# The packages that a user may be told to install, by the module that they bring. A guess could name a harmful one.
PACKAGES = {
    **{name: name for name in ("bitsandbytes", "dadaptation", "prodigyopt", "schedulefree", "transformers")},
    "came_pytorch": "came-pytorch",
    "lion_pytorch": "lion-pytorch",
    "prodigyplus": "prodigy-plus-schedule-free",
    "pytorch_optimizer": "pytorch_optimizer",
}
# What a library raises for arguments that it can not work with.
UNFIT = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def kind_of(name: str) -> Kind:
    """The kind of that name: one of ours in any case, ``module.Class``, or a class of ``torch.optim``."""
    known = {ours.lower(): kind for ours, kind in KINDS.items()}
    return known.get(name.lower()) or Kind(name if "." in name else f"torch.optim.{name}")


def class_name(settings: OptimizerSettings) -> str:
    """The lower-case name of the class, without its module."""
    return kind_of(settings.optimizer_type).path.rpartition(".")[2].lower()


def shares_rate(settings: OptimizerSettings) -> bool:
    """Whether one learning rate, found by the optimizer itself, serves all parts: D-Adaptation (arXiv 2301.07733) and
    Prodigy (arXiv 2306.06101). Other rates raise in these libraries, or the first one counts for all."""
    return class_name(settings) == "prodigy" or class_name(settings).startswith("dadapt")


def is_schedule_free(settings: OptimizerSettings) -> bool:
    """Whether the optimizer averages its weights in place of a schedule (arXiv 2405.15682)."""
    return "schedulefree" in class_name(settings)


def sets_own_rate(settings: OptimizerSettings) -> bool:
    """Whether it is transformers' Adafactor with relative steps (arXiv 1804.04235), which takes no learning rate."""
    ours = class_name(settings) == "adafactor" and kind_of(settings.optimizer_type).path.startswith("transformers.")
    return ours and bool(given_arguments(settings).get("relative_step", True))


def uses_schedule(settings: OptimizerSettings) -> bool:
    """Whether the learning rate has to follow the schedule and its warm-up; else it stays as it is."""
    return not is_schedule_free(settings) and not sets_own_rate(settings)


def given_arguments(settings: OptimizerSettings) -> dict[str, Any]:
    """``optimizer_args`` as kohya's scripts read them: each is ``name=literal``. Raises ``BadSettings``."""
    arguments = {}
    for text in settings.optimizer_args:
        name, _, value = (part.strip() for part in text.partition("="))
        try:
            arguments[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
            raise BadSettings("optimizer_argument", field="optimizer_args", argument=text) from error
        if not name.isidentifier():
            raise BadSettings("optimizer_argument", field="optimizer_args", argument=text)
    return arguments


def arguments_of(settings: OptimizerSettings, found: type[torch.optim.Optimizer]) -> dict[str, Any]:
    """All arguments of the class but its weights and rate. Raises ``BadSettings`` for one that it does not know.

    The weight decay of the settings means AdamW's, apart from the gradient (arXiv 1711.05101), wherever there is a
    choice; given as an argument it means what the library says.
    """
    given = given_arguments(settings)
    known = inspect.signature(found).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for name in given:
        if name in ("params", "lr") or not (name in known or takes_all):
            names = ", ".join(sorted(set(known) - {"params", "lr", "args", "kwargs"}))
            values = {"argument": name, "name": settings.optimizer_type, "known": names}
            raise BadSettings("optimizer_argument_unknown", field="optimizer_args", **values)
    added = dict(kind_of(settings.optimizer_type).added)
    if "weight_decay" in known and "weight_decay" not in given:
        added["weight_decay"] = settings.weight_decay
        if "decouple" in known:
            added["decouple"] = True
    return {**added, **given}


def find_class(settings: OptimizerSettings) -> type[torch.optim.Optimizer]:
    """Import the optimizer. Raises ``BadSettings`` when there is none of that name, or its package is missing."""
    name, path = settings.optimizer_type, kind_of(settings.optimizer_type).path
    module, _, title = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")):
        raise _unknown(name)
    try:
        found = getattr(importlib.import_module(module), title, None)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise _not_importable(name, module.partition(".")[0], error) from error
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise _unknown(name)
    return found


def _unknown(name: str) -> BadSettings:
    return BadSettings("optimizer_unknown", field="optimizer_type", name=name, known=", ".join(OPTIMIZERS))


def _not_importable(name: str, module: str, error: Exception) -> BadSettings:
    missing = isinstance(error, ModuleNotFoundError) and error.name == module
    if missing and (package := PACKAGES.get(module)):
        # With torch named at its version, pip takes a release that works with it rather than another torch.
        command = f'"{sys.executable}" -m pip install {package} torch=={torch.__version__}'
        return BadSettings("optimizer_package", field="optimizer_type", name=name, package=package, command=command)
    return BadSettings("optimizer_import", field="optimizer_type", name=name, reason=error)


def check_optimizer(settings: OptimizerSettings, device: str) -> None:
    """Raise ``BadSettings`` for an optimizer that can not train on ``device`` (``"cpu"``, ``"cuda"``): its name, its
    package, its arguments and the learning rates, and one step with a weight of 2 x 2 to try them."""
    path = kind_of(settings.optimizer_type).path
    if path.startswith("bitsandbytes.") and torch.device(device).type != "cuda":
        plain = settings.optimizer_type.lower().replace("paged", "").replace("8bit", "")
        instead = next((name for name in OPTIMIZERS if name.lower() == plain), "AdamW")
        raise BadSettings("optimizer_needs_cuda", field="optimizer_type", name=settings.optimizer_type, instead=instead)
    rates = [rate for rate in (settings.unet_lr, settings.text_encoder_lr, settings.text_encoder_lr2) if rate]
    if settings.loraplus_lr_ratio:
        rates += [rate * settings.loraplus_lr_ratio for rate in rates]
    check_rates(settings, rates)
    weight = torch.nn.Parameter(torch.ones(2, 2, device=device))
    weight.grad = torch.ones_like(weight)
    try:
        make_optimizer([{"params": [weight], "lr": max(rates, default=1.0)}], settings, weight.device).step()
    except UNFIT as error:
        reason = str(error) or type(error).__name__
        raise BadSettings(
            "optimizer_unfit", field="optimizer_args", name=settings.optimizer_type, reason=reason
        ) from error


def check_rates(settings: OptimizerSettings, rates: Sequence[float]) -> None:
    """Raise ``BadSettings`` when an optimizer that takes one learning rate for all parts is given several."""
    different = sorted({rate for rate in rates if rate})
    if shares_rate(settings) and len(different) > 1:
        shown = ", ".join(f"{rate:g}" for rate in different)
        raise BadSettings("optimizer_one_rate", field="unet_lr", name=settings.optimizer_type, rates=shown)


def make_optimizer(
    groups: Sequence[dict[str, Any]], settings: OptimizerSettings, device: torch.device
) -> torch.optim.Optimizer:
    """The optimizer of ``groups``, each ``{"params": [...], "lr": float}``, ready to step. Raises ``BadSettings``."""
    found = find_class(settings)
    options = arguments_of(settings, found)
    check_rates(settings, [group["lr"] for group in groups])
    rate: float | None = groups[0]["lr"]
    if sets_own_rate(settings):
        rate, groups = None, [{**group, "lr": None} for group in groups]
    if found.__module__.startswith(("dadaptation.", "prodigyopt.")):
        # Their constructors print about these two, and read them from the groups only.
        silent: dict[str, Any] = {name: options.pop(name) for name in ("weight_decay", "decouple") if name in options}
        groups = [{**group, **silent} for group in groups]
    if (
        found is torch.optim.AdamW
        and device.type == "cuda"
        and not {"foreach", "fused", "differentiable"} & set(options)
    ):
        options["fused"] = True  # one kernel for all tensors: a LoRA has hundreds of small ones
    optimizer = found([dict(group) for group in groups], lr=rate, **options)  # type: ignore[call-arg]
    if _swaps(optimizer):
        optimizer.train()  # type: ignore[attr-defined]
    return optimizer


def _swaps(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the weights to train and the weights to use differ."""
    return all(callable(getattr(optimizer, name, None)) for name in ("train", "eval"))


@contextmanager
def averaged(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Have the weights that are to be saved, validated and drawn with in place for a while: the average of a
    schedule-free optimizer; nothing changes for the others. The state of the training is saved outside of it."""
    if not _swaps(optimizer) or not optimizer.param_groups[0].get("train_mode", True):
        yield
        return
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    # The way there and back again rounds: kept, so that looking does not change the training.
    kept = [weight.detach().clone() for weight in weights]
    optimizer.eval()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        optimizer.train()  # type: ignore[attr-defined]
        with torch.no_grad():
            for weight, before in zip(weights, kept, strict=True):
                weight.copy_(before)


def effective_rate(optimizer: torch.optim.Optimizer) -> float:
    """The learning rate of the first group as the last step took it: with the factor that D-Adaptation and Prodigy
    found, the warm-up of a schedule-free optimizer, or Adafactor's own (0 before its first step)."""
    group = optimizer.param_groups[0]
    if group.get("relative_step"):
        state = optimizer.state.get(group["params"][0])
        return float(optimizer._get_lr(group, state)) if state else 0.0  # type: ignore[attr-defined]
    return float(group.get("scheduled_lr") or group["lr"]) * float(group.get("d", 1.0))


def optimizer_label(settings: OptimizerSettings) -> str:
    """The optimizer as kohya's ``ss_optimizer`` has it: ``torch.optim.adamw.AdamW(weight_decay=0.01)``."""
    found = find_class(settings)
    listed = ",".join(f"{name}={value}" for name, value in arguments_of(settings, found).items())
    return f"{found.__module__}.{found.__name__}" + (f"({listed})" if listed else "")
