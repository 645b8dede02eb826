"""Losses on images at fixed noise, compared with the base model's on the very same: what an epoch is judged by."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lora_trainer.adapter.layers import weighted
from lora_trainer.dataset.encoded import EncodedSet
from lora_trainer.training.learner import Model
from lora_trainer.training.validation import image_losses, relative


class Exam:
    """Measures ``model`` on the examples with these ``numbers`` in ``encoded``."""

    def __init__(self, model: Model, encoded: EncodedSet, numbers: Sequence[int]) -> None:
        self.model, self.encoded, self.numbers = model, encoded, list(numbers)
        self._base: torch.Tensor | None = None

    def base(self) -> float:
        """Mean loss of the model without its adapter."""
        if self._base is None:
            with weighted(self.model.parts, 0.0):
                self._base = self._losses()
        return float(self._base.mean())

    def mark(self) -> float:
        """Loss of the model as it is: the base model's mean loss times the share of its error that is left."""
        base = self.base()
        assert self._base is not None
        return base * relative(self._losses(), self._base)

    def _losses(self) -> torch.Tensor:
        """(images, strata)"""
        return torch.stack([self._image(number) for number in self.numbers])

    @torch.no_grad()
    def _image(self, number: int) -> torch.Tensor:
        model, encoded = self.model, self.encoded
        caption = encoded.examples[number].item.caption
        text = model.text([caption])[0] if model.reads_text else encoded.text(caption)
        predict = model.predict(text, encoded.sizes(number))
        return image_losses(predict, encoded.latents(number), number, model.parts.noise)
