"""What people trip over with an optimizer: it would train, but hardly as meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lora_trainer.language import English, translate
from lora_trainer.settings.training import OptimizerSettings
from lora_trainer.training.optimizers import (
    KINDS,
    class_name,
    given_arguments,
    is_schedule_free,
    kind_of,
    sets_own_rate,
    shares_rate,
    uses_schedule,
)

LOW_RATE = 0.1  # below it, kohya's scripts warn about an optimizer that finds its own
HIGH_RATE = 0.01  # a hundred times what AdamW usually has
LION_RATE = 1e-4  # AdamW's; Lion's authors take 3 to 10 times less (arXiv 2302.06675)


@dataclass(frozen=True)
class Advice:
    """One warning: ``key`` selects the sentence, ``values`` fill it, ``field`` names the setting."""

    key: str
    field: str
    values: dict[str, Any]

    def text(self, language: str = English) -> str:
        """The sentence in ``language``."""
        return translate(f"advice.{self.key}", language, **self.values)


def advice(settings: OptimizerSettings) -> list[Advice]:
    """Warnings about the optimizer together with its rates and schedule; no library is imported.

    Raises ``BadSettings`` for arguments that can not be read.
    """
    found = [*_about_rates(settings), *_about_schedule(settings), *_about_adafactor(settings)]
    return [Advice(key, field, {"name": settings.optimizer_type, **values}) for key, field, values in found]


def _about_rates(settings: OptimizerSettings) -> Iterator[tuple[str, str, dict[str, Any]]]:
    rates = [rate for rate in (settings.unet_lr, settings.text_encoder_lr, settings.text_encoder_lr2) if rate]
    kind, name = kind_of(settings.optimizer_type), class_name(settings)
    if not rates or sets_own_rate(settings):
        return
    lowest, highest = f"{min(rates):g}", f"{max(rates):g}"
    finds_rate = shares_rate(settings) or name.startswith("prodigy")
    if finds_rate and min(rates) <= LOW_RATE:
        yield "optimizer_rate_low", "unet_lr", {"rate": lowest}
    elif not finds_rate and "sgd" not in name and kind in KINDS.values() and max(rates) > HIGH_RATE:
        yield "optimizer_rate_high", "unet_lr", {"rate": highest}
    elif not finds_rate and "lion" in name and max(rates) >= LION_RATE:
        yield "optimizer_rate_lion", "unet_lr", {"rate": highest}


def _about_schedule(settings: OptimizerSettings) -> Iterator[tuple[str, str, dict[str, Any]]]:
    warms_up = bool(settings.lr_warmup or settings.lr_warmup_steps)
    scheduled = settings.lr_scheduler != "constant" or warms_up
    if is_schedule_free(settings) and scheduled:
        yield "optimizer_schedule_free", "lr_scheduler", {}
    safe = given_arguments(settings).get("safeguard_warmup", False)
    if class_name(settings) == "prodigy" and warms_up and uses_schedule(settings) and not safe:
        yield "optimizer_prodigy_warmup", "optimizer_args", {}


def _about_adafactor(settings: OptimizerSettings) -> Iterator[tuple[str, str, dict[str, Any]]]:
    scaled = given_arguments(settings).get("scale_parameter", True)
    if sets_own_rate(settings):
        yield "optimizer_own_rate", "optimizer_args", {}
    elif kind_of(settings.optimizer_type) == KINDS["AdaFactor"] and scaled:
        yield "optimizer_scaled_rate", "optimizer_args", {}
