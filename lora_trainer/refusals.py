"""What is refused before a model is loaded: everything that settings alone tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lora_trainer.adapter.arguments import network_of
from lora_trainer.checkpoint.precision import choose, choose_device
from lora_trainer.errors import BadSettings, UserError
from lora_trainer.picking.files import check_name
from lora_trainer.settings import Settings
from lora_trainer.training.optimizers import check_optimizer, is_schedule_free
from lora_trainer.training.timesteps import timestep_range

MOST_TIMESTEPS = 1000  # of any Stable Diffusion


def check_settings(settings: Settings) -> None:
    """Raise the first thing that is wrong as ``BadSettings``."""
    for check in CHECKS:
        check(settings)


def refusals(settings: Settings) -> Iterator[UserError]:
    """Everything that is wrong."""
    for check in CHECKS:
        try:
            check(settings)
        except UserError as error:
            yield error


def _check_name(settings: Settings) -> None:
    check_name(settings.output.name)


def _check_trigger(settings: Settings) -> None:
    if not settings.data.trigger.strip():
        raise BadSettings("trigger_empty", field="trigger")


def _check_rates(settings: Settings) -> None:
    optimizer = settings.optimizer
    if not any((optimizer.unet_lr, optimizer.text_encoder_lr, optimizer.text_encoder_lr2)):
        raise BadSettings("nothing_to_train", field="unet_lr")


def _check_device(settings: Settings) -> None:
    choose(choose_device(settings.training.device), settings.training.mixed_precision)


def _check_optimizer(settings: Settings) -> None:
    check_optimizer(settings.optimizer, choose_device(settings.training.device))


def _check_average(settings: Settings) -> None:
    if settings.training.ema_decay and is_schedule_free(settings.optimizer):
        raise BadSettings("ema_twice", field="ema_decay", name=settings.optimizer.optimizer_type)


def _check_timesteps(settings: Settings) -> None:
    timestep_range(settings.loss, MOST_TIMESTEPS)


def _check_network(settings: Settings) -> None:
    network_of(settings.network, settings.optimizer)


CHECKS: tuple[Callable[[Settings], None], ...] = (
    *(_check_name, _check_trigger, _check_rates, _check_device),
    *(_check_optimizer, _check_average, _check_timesteps, _check_network),
)
