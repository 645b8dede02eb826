"""What a checkpoint's U-Net predicts, and whether its last noise level hides the picture wholly.

Its config tells, or marks that model makers leave: tensors named ``v_pred`` and ``ztsnr``, and modelspec's metadata.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lora_trainer.checkpoint.architecture import model_params
from lora_trainer.checkpoint.family import SD2, Family
from lora_trainer.checkpoint.noise import NoiseSchedule, noise_schedule
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.settings import LossSettings

BURIED = 1e-4  # the last alpha-bar of ordinary schedules is 0.0047


def schedule_of(checkpoint: Checkpoint, family: Family, unet: torch.nn.Module, loss: LossSettings) -> NoiseSchedule:
    """The checkpoint's noise schedule, with what ``loss`` says in place of what is found where it is not ``auto``."""
    prediction = loss.prediction_type
    if prediction == "auto":
        prediction = prediction_type(checkpoint, family, unet)
    zero = loss.zero_terminal_snr == "yes"
    if loss.zero_terminal_snr == "auto":
        zero = has_zero_terminal_snr(checkpoint)
    return noise_schedule(model_params(checkpoint.config), prediction, zero)


def prediction_type(checkpoint: Checkpoint, family: Family, unet: torch.nn.Module) -> str:
    """``v_prediction`` where config or marks say so, else ``epsilon``.

    An SD2 without either is tried out, as the WebUI does it: 512 and 768 models differ in nothing else.
    """
    params = model_params(checkpoint.config)
    scaling = ((params.get("denoiser_config") or {}).get("params") or {}).get("scaling_config") or {}
    stated = checkpoint.metadata.get("modelspec.prediction_type", "")
    signs = (
        params.get("parameterization") == "v",
        str(scaling.get("target")).endswith("VScaling"),
        "v_pred" in checkpoint.tensors,
        stated.startswith("v"),
        "768-v" in checkpoint.metadata.get("modelspec.architecture", ""),
    )
    if any(signs):
        return "v_prediction"
    untold = not params and not stated
    return "v_prediction" if family is SD2 and untold and _answers_in_v(unet) else "epsilon"


def has_zero_terminal_snr(checkpoint: Checkpoint) -> bool:
    """Whether config, mark or the schedule that LDM keeps among the weights say that the last level is pure noise."""
    kept = checkpoint.tensors.get("alphas_cumprod")
    return (
        "ztsnr" in checkpoint.tensors
        or bool(model_params(checkpoint.config).get("zero_terminal_snr"))
        or (kept is not None and float(kept[-1]) < BURIED)
    )


@torch.no_grad()
def _answers_in_v(unet: Any) -> bool:
    """Whether the U-Net, shown a constant as the last noise level, answers far below it: noise would resemble what it
    is shown, v there is the negative picture."""
    shown = torch.full((1, unet.config.in_channels, 8, 8), 0.5)
    context = torch.full((1, 2, unet.config.cross_attention_dim), 0.5)
    with _layers_in_fp32(unet):
        answer = unet(shown, torch.tensor([999]), encoder_hidden_states=context).sample
    return float((answer - shown).mean()) < -1


@contextmanager
def _layers_in_fp32(module: torch.nn.Module) -> Iterator[None]:
    """Have every layer's weights on the CPU in fp32 while it runs, one layer at a time: there is no second copy of the
    model, and the CPU cannot compute in fp16."""
    kept: dict[torch.nn.Parameter, torch.Tensor] = {}

    def before(layer: torch.nn.Module, _: object) -> None:
        for parameter in layer.parameters(recurse=False):
            kept[parameter] = parameter.data
            parameter.data = parameter.data.to("cpu", torch.float32)

    def after(layer: torch.nn.Module, *_: object) -> None:
        for parameter in layer.parameters(recurse=False):
            parameter.data = kept.pop(parameter)

    layers = [layer for layer in module.modules() if next(layer.parameters(recurse=False), None) is not None]
    hooks = [layer.register_forward_pre_hook(before) for layer in layers]
    hooks += [layer.register_forward_hook(after) for layer in layers]
    try:
        yield
    finally:
        for parameter, data in kept.items():
            parameter.data = data
        for hook in hooks:
            hook.remove()
