"""What learns: adopted modules with LoRA layers in them, their optimizer, and one step of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from lora_trainer.adapter.inject import TEXT_TARGETS, UNET_TARGETS, eject, inject, lora_layers
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.checkpoint.encoders import encode_tokens, tokenize
from lora_trainer.checkpoint.precision import Precision
from lora_trainer.errors import BadSettings, RunFailed
from lora_trainer.settings import Settings
from lora_trainer.training.schedules import lr_factor


class Model:
    """Adopted modules, with or without a LoRA in them, as the objective sees them."""

    def __init__(self, parts: Parts, precision: Precision) -> None:
        self.parts, self.precision = parts, precision

    @property
    def reads_text(self) -> bool:
        """Whether a LoRA sits in the text encoder too, so that captions must be encoded anew."""
        return bool(lora_layers(self.parts.text_encoder))

    def context(self, captions: Sequence[str]) -> torch.Tensor:
        """(B, 77, D) embeddings of the captions, with gradients where the text encoder learns."""
        return encode_tokens(self.parts, tokenize(self.parts, captions)).float()

    def predict(self, noised: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """The U-Net's prediction (B, C, h, w)."""
        with self.precision.autocast():
            return self.parts.unet(noised, timesteps, encoder_hidden_states=context).sample


class Learner(Model):
    """LoRA layers in ``parts`` and their AdamW (arXiv 1711.05101). ``steps`` is the length of the learning rate
    schedule."""

    def __init__(self, parts: Parts, precision: Precision, settings: Settings, steps: int) -> None:
        super().__init__(parts, precision)
        self.settings, self.steps = settings, steps
        training, rates, network = settings.training, settings.optimizer, settings.network
        self.rates: list[float] = []
        groups = []
        for module, targets, rate, seed in (
            (parts.unet, UNET_TARGETS, rates.unet_lr, training.seed),
            (parts.text_encoder, TEXT_TARGETS, rates.text_encoder_lr, training.seed + 1),
        ):
            if rate > 0:
                groups.append({"params": inject(module, targets, network, seed)})
                self.rates.append(rate)
        if not groups:
            raise BadSettings("nothing_to_train", field="unet_lr")
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=rates.weight_decay)
        self.scaler = torch.cuda.amp.GradScaler(enabled=precision.dtype == torch.float16)

    def step(self, loss: torch.Tensor, number: int) -> float:
        """Learn from ``loss``, a scalar; returns the U-Net's learning rate of this step (``number`` counts from 0).

        Raises ``RunFailed`` when the loss is no number, before any weight is touched.
        """
        if not torch.isfinite(loss):
            raise RunFailed("loss_nan", step=number + 1)
        training = self.settings.optimizer
        factor = lr_factor(number, self.steps, training.lr_scheduler, training.lr_warmup)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.scaler.scale(loss).backward()
        if training.max_grad_norm:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters, training.max_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return self.rates[0] * factor

    def close(self) -> None:
        """Take the LoRA layers out again; the modules beneath are as they were."""
        eject(self.parts.unet)
        eject(self.parts.text_encoder)


@contextmanager
def learning(parts: Parts, precision: Precision, settings: Settings, steps: int) -> Iterator[Learner]:
    """A learner for a while."""
    learner = Learner(parts, precision, settings, steps)
    try:
        yield learner
    finally:
        learner.close()
