"""What the U-Net is told of captions, encoded as the WebUI encodes a prompt, because there the LoRA will be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import torch

from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.settings import CaptionSettings


@dataclass(frozen=True)
class Text:
    """Encoded captions, one or a batch of them."""

    hidden: torch.Tensor  # (B, T, D), of one caption (T, D); T is 77 for every 75 tokens begun
    pooled: torch.Tensor | None = None  # (B, P), of one caption (P,); None where the family has none

    def __len__(self) -> int:
        """Number of captions in a batch."""
        return len(self.hidden)

    def __getitem__(self, index: int) -> Text:
        """One caption of a batch."""
        return Text(self.hidden[index], None if self.pooled is None else self.pooled[index])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Text:
        """The same on ``device``, in ``dtype`` where one is given."""
        pooled = None if self.pooled is None else self.pooled.to(device, dtype)
        return Text(self.hidden.to(device, dtype), pooled)

    @staticmethod
    def stack(texts: Sequence[Text]) -> Text:
        """A batch of single captions.

        Those of fewer chunks are repeated up to a common length. That changes no picture: attention to every key
        twice is attention to it once.
        """
        length = lcm(*(len(text.hidden) for text in texts))
        hidden = torch.stack([text.hidden.repeat(length // len(text.hidden), 1) for text in texts])
        pooled = [text.pooled for text in texts if text.pooled is not None]
        return Text(hidden, torch.stack(pooled) if pooled else None)


def encode_text(parts: Parts, captions: Sequence[str], settings: CaptionSettings) -> Text:
    """The captions as a batch, in fp32, on the text encoders' device; with gradients where those learn."""
    raise NotImplementedError
