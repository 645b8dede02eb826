"""What the U-Net is told of captions, encoded as the WebUI encodes a prompt, because there the LoRA will be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import torch

from lora_trainer.checkpoint.adopt import Parts, TextEncoder
from lora_trainer.checkpoint.prompt import Chunk, chunks
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
    """The captions as a batch, in fp32, on the text encoders' device; with gradients where those learn.

    Every chunk of 75 tokens is encoded by itself and the hidden states are laid end to end; the pooled embedding is
    the first chunk's. Clip skip n takes the n-th hidden states from the end, through the final norm; SDXL heeds none.
    """
    tokenizer = parts.text_encoders[0].tokenizer
    cut = [chunks(tokenizer, text, settings.max_token_length, settings.weighted_captions) for text in captions]
    every = [chunk for of_one in cut for chunk in of_one]
    read = [_read(encoder, every, settings.clip_skip) for encoder in parts.text_encoders]
    hidden = torch.cat([states for states, _ in read], dim=-1)
    pooled = next((pooled for _, pooled in read if pooled is not None), None)
    texts, first = [], 0
    for of_one in cut:
        states = hidden[first : first + len(of_one)].flatten(0, 1)
        texts.append(Text(states, None if pooled is None else pooled[first]))
        first += len(of_one)
    return Text.stack(texts)


def _read(encoder: TextEncoder, every: Sequence[Chunk], clip_skip: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Hidden states (N, 77, D) of N chunks and, where the family takes them, their pooled embeddings (N, P)."""
    module, reading = encoder.module, encoder.reading
    device = next(module.parameters()).device
    ids = padded_with(torch.tensor([chunk.ids for chunk in every]), encoder.tokenizer.eos_token_id, reading.pad)
    output = module(ids.to(device), output_hidden_states=True)
    last = len(output.hidden_states) - 1
    hidden = output.hidden_states[-min(clip_skip, last) if reading.skips else reading.layer]
    if reading.normed:
        hidden = getattr(module, "text_model", module).final_layer_norm(hidden)
    weights = torch.tensor([chunk.weights for chunk in every], device=device)
    return weighted(hidden.float(), weights), output.text_embeds.float() if reading.pooled else None


def padded_with(ids: torch.Tensor, end: int, pad: int | None) -> torch.Tensor:
    """``ids`` (N, T) with ``pad`` in all places after the first end token."""
    if pad is None:
        return ids
    ended = (ids == end).long().cumsum(1)
    after = (ended - (ids == end).long()) > 0
    return ids.masked_fill(after, pad)


def weighted(hidden: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Hidden states (N, T, D) times the tokens' weights (N, T), then scaled so that each chunk keeps its mean (the
    WebUI's emphasis "Original"); chunks without weights stay as they are."""
    emphasised = hidden * weights.unsqueeze(-1)
    mean, moved = (states.mean(dim=(1, 2), keepdim=True) for states in (hidden, emphasised))
    plain = (weights == 1).all(dim=1).view(-1, 1, 1)
    return torch.where(plain, hidden, emphasised * (mean / torch.where(plain, torch.ones_like(moved), moved)))
