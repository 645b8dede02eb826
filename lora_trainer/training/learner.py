"""What learns: adopted modules with an adapter in them, its optimizer, and one step of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from lora_trainer.adapter.inject import inject
from lora_trainer.adapter.layers import layers_of
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.checkpoint.precision import Precision
from lora_trainer.checkpoint.text import Text, encode_text
from lora_trainer.checkpoint.unet import predict
from lora_trainer.errors import BadSettings, RunFailed
from lora_trainer.settings import CaptionSettings, Settings
from lora_trainer.training.ema import Average
from lora_trainer.training.objective import Predict, make_objective
from lora_trainer.training.optimizers import averaged, effective_rate, make_optimizer, uses_schedule
from lora_trainer.training.processes import Team
from lora_trainer.training.schedules import lr_factor


class Model:
    """Adopted modules, with or without an adapter in them, as the objective sees them."""

    def __init__(self, parts: Parts, precision: Precision, captions: CaptionSettings) -> None:
        self.parts, self.precision, self.captions = parts, precision, captions

    @property
    def reads_text(self) -> bool:
        """Whether a text encoder has an adapter in it, so that captions must be encoded anew."""
        return any(layers_of(encoder.module) for encoder in self.parts.text_encoders)

    def text(self, captions: Sequence[str]) -> Text:
        """The captions as a batch, with gradients where a text encoder learns."""
        with self.precision.autocast():
            return encode_text(self.parts, captions, self.captions)

    def predict(self, text: Text, sizes: torch.Tensor) -> Predict:
        """The U-Net as the objective calls it, told ``text`` (a batch, or one caption for all rows) and ``sizes``
        (B, 6) or (6,)."""

        def told(noised: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
            count = len(noised)
            batch = text if text.hidden.dim() == 3 else Text.stack([text] * count)
            with self.precision.autocast():
                return predict(self.parts, noised, timesteps, batch, sizes.expand(count, -1))

        return told


class Learner(Model):
    """An adapter in ``parts``, and what teaches it over ``steps`` steps."""

    def __init__(
        self, parts: Parts, precision: Precision, settings: Settings, steps: int, team: Team | None = None
    ) -> None:
        super().__init__(parts, precision, settings.captions)
        self.settings, self.steps, self.team, self.done = settings, steps, team or Team(), 0
        self.adapter = inject(parts, settings.network, settings.optimizer, settings.training.seed)
        groups = [group for group in self.adapter.groups() if group["lr"] > 0]
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        if not groups:
            raise BadSettings("nothing_to_train", field="unet_lr")
        self.optimizer = make_optimizer(groups, settings.optimizer, precision.device)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.average = Average(self.parameters, settings.training.ema_decay)
        self.scaler = precision.scaler()
        self.objective = make_objective(parts.noise, settings.loss, precision.device)
        if settings.training.gradient_checkpointing:
            parts.unet.enable_gradient_checkpointing()
            for encoder in parts.text_encoders:
                encoder.module.gradient_checkpointing_enable()
        self._train(True)

    def _train(self, mode: bool) -> None:
        """Whether things are dropped at random and activations recomputed."""
        for module in (self.parts.unet, *(encoder.module for encoder in self.parts.text_encoders)):
            module.train(mode)

    @contextmanager
    def own_chance(self, step: int) -> Iterator[None]:
        """Random numbers of the step's own, where something is dropped at random."""
        network = self.adapter.network
        if not (network.dropout or network.rank_dropout or network.module_dropout):
            yield
            return
        device = self.precision.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            text = f"dropout {self.settings.training.seed} {step} {self.team.rank}"
            torch.manual_seed(int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[:8], "big"))
            yield

    def learn(self, loss: torch.Tensor) -> None:
        """Gather the gradients of a scalar."""
        self.scaler.scale(loss).backward()

    def step(self, loss: torch.Tensor) -> tuple[float, float]:
        """Take a step along the gathered gradients. ``loss`` is this process's part of the step's; returned are the
        whole loss and the learning rate of the first group.

        Raises ``RunFailed`` when the loss is no number, before any weight is touched.
        """
        settings, total = self.settings.optimizer, loss.detach().clone()
        if self.team.size > 1:
            for parameter in self.parameters:
                if parameter.grad is None:  # its layer was dropped here, but perhaps not elsewhere
                    parameter.grad = torch.zeros_like(parameter)
            self.team.add_up([total, *(p.grad for p in self.parameters if p.grad is not None)])
        if not torch.isfinite(total):
            raise RunFailed("loss_nan", step=self.done + 1)
        factor = lr_factor(self.done, self.steps, settings) if uses_schedule(settings) else 1.0
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = None if rate is None else rate * factor
        if settings.max_grad_norm:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters, settings.max_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.adapter.after_step()
        self.average.update()
        self.done += 1
        return float(total), effective_rate(self.optimizer)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Have the weights in place that are saved, measured and drawn with, and nothing dropped."""
        self._train(False)
        try:
            with averaged(self.optimizer), self.average.applied():
                yield
        finally:
            self._train(True)

    def state(self) -> dict[str, Any]:
        """All that a step depends on besides settings and data."""
        return {
            "done": self.done,
            "weights": [parameter.detach() for parameter in self.parameters],
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.shadows,
            "averaged": self.average.steps,
            "scaler": self.scaler.state_dict(),
        }

    @torch.no_grad()
    def resume(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave. Raises ``BadSettings`` when it is another network's."""
        weights, shadows = state["weights"], state["average"]
        ours = [parameter.shape for parameter in self.parameters]
        if [w.shape for w in weights] != ours or len(shadows) != len(self.average.shadows):
            raise BadSettings("state_foreign")
        for mine, kept in (
            *zip(self.parameters, weights, strict=True),
            *zip(self.average.shadows, shadows, strict=True),
        ):
            mine.copy_(kept)
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.average.steps, self.done = state["averaged"], state["done"]

    def close(self) -> None:
        """Take the adapter out again; the modules beneath are as they were."""
        self._train(False)
        self.adapter.close()


@contextmanager
def learning(
    parts: Parts, precision: Precision, settings: Settings, steps: int, team: Team | None = None
) -> Iterator[Learner]:
    """A learner for a while."""
    learner = Learner(parts, precision, settings, steps, team)
    try:
        yield learner
    finally:
        learner.close()
