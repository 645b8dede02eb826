"""What is refused before a model is loaded, and what is only warned about."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from lora_trainer.errors import BadSettings
from lora_trainer.language import LANGUAGES
from lora_trainer.settings.training import OPTIMIZERS, OptimizerSettings
from lora_trainer.training.optimizer_advice import advice
from lora_trainer.training.optimizers import check_optimizer, make_optimizer


def settings_of(name: str, *arguments: str, **values: Any) -> OptimizerSettings:
    return OptimizerSettings(optimizer_type=name, optimizer_args=arguments, **values)


def refusal(settings: OptimizerSettings, device: str = "cpu") -> BadSettings:
    with pytest.raises(BadSettings) as caught:
        check_optimizer(settings, device)
    assert all(caught.value.text(language) for language in LANGUAGES)
    return caught.value


def keys(settings: OptimizerSettings) -> set[str]:
    found = advice(settings)
    assert all(one.text(language) for one in found for language in LANGUAGES)
    return {one.key for one in found}


@pytest.mark.parametrize("name", ["AdamWW", "torch.optim.Nothing", "os.system", "torch.nn.Linear", "..x", "a b.c", ""])
def test_an_unknown_name_is_refused(name: str) -> None:
    assert refusal(settings_of(name)).key == "optimizer_unknown"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("lion_pytorch", "no_such_module"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    hide(monkeypatch, "lion_pytorch")
    error = refusal(settings_of("Lion"))
    assert (error.key, error.values["package"]) == ("optimizer_package", "lion-pytorch")
    assert f"lion-pytorch torch=={torch.__version__}" in str(error)
    other = refusal(settings_of("no_such_module.Optimizer"))
    assert other.key == "optimizer_import"
    assert "no_such_module" in str(other)


def hide(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    class Hiding:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == module:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Hiding(), *sys.meta_path])


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("AdamW8bit", "AdamW"),
        ("pagedadamw8BIT", "AdamW"),
        ("Lion8bit", "Lion"),
        ("PagedLion8bit", "Lion"),
        ("SGDNesterov8bit", "SGDNesterov"),
        ("bitsandbytes.optim.AdEMAMix8bit", "AdamW"),
    ],
)
def test_what_needs_cuda_is_refused_without(name: str, instead: str) -> None:
    error = refusal(settings_of(name))
    assert (error.key, error.field, error.values["instead"]) == ("optimizer_needs_cuda", "optimizer_type", instead)


@pytest.mark.parametrize("argument", ["betas", "betas=", "=1", "betas=(0.9", "decouple=yes", "eps=__import__('os')"])
def test_an_unreadable_argument_is_refused(argument: str) -> None:
    error = refusal(settings_of("AdamW", argument))
    assert (error.key, error.field, error.values["argument"]) == ("optimizer_argument", "optimizer_args", argument)


@pytest.mark.parametrize("argument", ["d_coef=2", "lr=1", "params=[]"])
def test_an_unknown_argument_is_refused(argument: str) -> None:
    error = refusal(settings_of("AdamW", argument))
    assert (error.key, error.values["argument"]) == ("optimizer_argument_unknown", argument.partition("=")[0])
    assert "betas" in error.values["known"]
    check_optimizer(settings_of("Prodigy", "d_coef=2"), "cpu")


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("AdamW", "betas=(2, 3)"),
        ("AdamW", "betas=5"),
        ("Lion", "betas=(2, 3)"),
        ("AdaFactor", "eps=1"),
        ("CAME", "betas=1"),
    ],
)
def test_what_the_library_refuses_is_refused_early(name: str, argument: str) -> None:
    assert refusal(settings_of(name, argument)).key == "optimizer_unfit"


def test_an_optimizer_that_needs_a_closure_is_refused() -> None:
    assert refusal(settings_of("torch.optim.LBFGS")).key == "optimizer_unfit"


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name.startswith(("DAdapt", "Prodigy"))])
def test_one_rate_for_all_parts(name: str) -> None:
    for rates in (
        {"text_encoder_lr": 0.5},
        {"text_encoder_lr": 1.0, "text_encoder_lr2": 0.5},
        {"loraplus_lr_ratio": 4.0},
    ):
        assert refusal(settings_of(name, unet_lr=1.0, **rates)).key == "optimizer_one_rate"
    check_optimizer(settings_of(name, unet_lr=1.0, text_encoder_lr=1.0, loraplus_lr_ratio=1.0), "cpu")
    check_optimizer(settings_of(name, unet_lr=0.0, text_encoder_lr=1.0), "cpu")
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    groups = [{"params": [weight], "lr": rate} for weight, rate in zip(weights, (1.0, 0.5), strict=True)]
    with pytest.raises(BadSettings):
        make_optimizer(groups, settings_of(name, unet_lr=1.0), torch.device("cpu"))


def test_advice() -> None:
    plain = {"lr_scheduler": "constant", "lr_warmup": 0.0}
    assert keys(OptimizerSettings()) == set()
    assert keys(settings_of("Prodigy", unet_lr=1.0, **plain)) == set()
    assert keys(settings_of("Prodigy", unet_lr=1e-4, **plain)) == {"optimizer_rate_low"}
    assert keys(settings_of("dadaptlion", unet_lr=1.0, text_encoder_lr=0.1)) == {"optimizer_rate_low"}
    assert keys(settings_of("Prodigy", unet_lr=1.0)) == {"optimizer_prodigy_warmup"}
    assert keys(settings_of("Prodigy", "safeguard_warmup=True", unet_lr=1.0)) == set()
    assert keys(settings_of("AdamW", unet_lr=1.0)) == {"optimizer_rate_high"}
    assert keys(settings_of("SGDNesterov", unet_lr=1.0)) == set()
    assert keys(settings_of("some.Optimizer", unet_lr=1.0)) == set()
    assert keys(settings_of("Lion8bit", unet_lr=1e-4)) == {"optimizer_rate_lion"}
    assert keys(settings_of("Lion", unet_lr=2e-5)) == set()
    assert keys(settings_of("AdamWScheduleFree", unet_lr=1e-4)) == {"optimizer_schedule_free"}
    assert keys(settings_of("AdamWScheduleFree", unet_lr=1e-4, **plain)) == set()
    assert keys(settings_of("AdaFactor")) == {"optimizer_own_rate"}
    assert keys(settings_of("AdaFactor", "relative_step=False", unet_lr=1e-4)) == {"optimizer_scaled_rate"}
    assert keys(settings_of("AdaFactor", "relative_step=False", "scale_parameter=False", unet_lr=1e-4)) == set()
