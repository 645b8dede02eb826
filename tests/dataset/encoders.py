"""Encoders that can be foretold, and running them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import avg_pool2d

from lora_trainer.checkpoint.text import Text
from lora_trainer.commands import Commands
from lora_trainer.dataset.cache import Cache
from lora_trainer.dataset.encoded import EncodedSet
from lora_trainer.dataset.encoding import encode
from lora_trainer.dataset.examples import Example
from lora_trainer.events import Progress


class FakeEncoders:
    """A VAE that averages 8 x 8 pixels and a text encoder that counts letters; both remember their batches."""

    def __init__(self, model_key: str = "model") -> None:
        self.model_key = model_key
        self.images: list[tuple[int, ...]] = []
        self.texts: list[list[str]] = []

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        assert not torch.is_grad_enabled()
        assert pixels.dtype == torch.float32
        assert pixels.abs().max() <= 1
        self.images.append(tuple(pixels.shape))
        mean = avg_pool2d(pixels, 8)
        return torch.cat([mean, torch.full_like(mean, 0.1)], dim=1)

    def encode_text(self, captions: Sequence[str]) -> Text:
        self.texts.append(list(captions))
        return Text(torch.stack([torch.full((7, 5), float(len(caption))) for caption in captions]))


def run(
    examples: Sequence[Example], encoders: FakeEncoders, cache: Cache, texts: Sequence[str]
) -> tuple[list[Progress], EncodedSet | None]:
    """The events of ``encode`` and what it returns."""
    events, generator = [], encode(examples, encoders, cache, Commands(), texts=texts)
    while True:
        try:
            events.append(next(generator))
        except StopIteration as end:
            return events, end.value
