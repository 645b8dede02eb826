"""Images to latents and captions to embeddings, once: what is in the cache is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from PIL import Image

from lora_trainer.checkpoint.text import Text
from lora_trainer.commands import Commands
from lora_trainer.dataset.buckets import Placement, Size
from lora_trainer.dataset.cache import Cache, file_hash, latents_key, mask_key, text_key
from lora_trainer.dataset.encoded import EncodedSet, Keys
from lora_trainer.dataset.examples import Example
from lora_trainer.dataset.masks import prepare_mask
from lora_trainer.dataset.pictures import open_picture
from lora_trainer.errors import RunFailed
from lora_trainer.events import Progress

IMAGE_BATCH = 4
TEXT_BATCH = 16

T = TypeVar("T")
Tensors = dict[str, torch.Tensor]


class Encoders(Protocol):
    """The frozen parts of a checkpoint that see each image and caption once."""

    @property
    def model_key(self) -> str:
        """Names all that shapes the results besides their input: the weights, the number format, how text is read."""

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 3, H, W) in -1..1, float32 on the CPU, to the posterior's mean and std (B, 2C, h, w)."""

    def encode_text(self, captions: Sequence[str]) -> Text:
        """Captions to embeddings, as one batch."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Results to be computed together: their keys, what a user calls their inputs, and how to compute them."""

    keys: Sequence[str]
    names: Sequence[str]
    compute: Callable[[], Sequence[Tensors]]


def prepare(path: Path, placement: Placement, background: str = "white") -> torch.Tensor:
    """The image as the VAE takes it: on ``background``, resized, cropped, (3, H, W) in -1..1."""
    picture = open_picture(path, background)
    # One step instead of resize and crop: a very long image would need gigabytes in between.
    box = placement.source_box(picture.size)
    picture = picture.resize(placement.bucket, Image.Resampling.LANCZOS, box=box)
    pixels: torch.Tensor = torch.from_numpy(np.array(picture, dtype=np.float32))  # (H, W, 3) in 0..255
    return pixels.permute(2, 0, 1).div(127.5).sub(1)


def encode(
    examples: Sequence[Example], encoders: Encoders, cache: Cache, commands: Commands, *, texts: Sequence[str]
) -> Generator[Progress, None, EncodedSet | None]:
    """Compute what the cache lacks, batch by batch; returns the whole set, read from the disk until it is told by
    ``EncodedSet.to`` where to be kept, or None when stopped.

    Progress counts images, their mirror images, masks and captions. ``texts`` are the captions to embed (``texts_of``):
    none when the text encoder itself is trained.
    """
    keys = []
    for example in examples:
        if commands.stopping_now:
            return None
        keys.append(_keys(example, encoders.model_key))
    text_keys = {text: text_key(text, encoders.model_key) for text in texts}

    wanted = {key for one in keys for key in (one.latents, one.mirrored, one.mask) if key} | set(text_keys.values())
    batches = _lacking(examples, keys, encoders, cache) + _text_batches(text_keys, encoders, cache)
    done = len(wanted) - sum(len(batch.keys) for batch in batches)
    yield Progress(stage="caching", done=done, total=len(wanted))

    for batch in batches:
        if commands.stopping_now:
            return None
        _compute(batch, cache)
        done += len(batch.keys)
        yield Progress(stage="caching", done=done, total=len(wanted))

    return EncodedSet(examples, keys, text_keys, cache)


def _keys(example: Example, model_key: str) -> Keys:
    """The keys of all that an example has."""
    item, placement = example.item, example.placement
    image = file_hash(item.path)
    opacity = item.mask == item.path
    key = partial(latents_key, image, placement, model_key, background=example.background)
    return Keys(
        latents=key(),
        mirrored=key(flipped=True) if example.flips else None,
        mask=mask_key(image if opacity else file_hash(item.mask), placement, opacity) if item.mask else None,
    )


def _lacking(examples: Sequence[Example], keys: Sequence[Keys], encoders: Encoders, cache: Cache) -> list[_Batch]:
    """What the cache lacks of the examples: masks one by one, pictures in batches of one bucket."""
    masks: dict[str, Example] = {}
    pictures: dict[Size, dict[str, tuple[Example, bool]]] = {}
    for example, own in zip(examples, keys, strict=True):
        if own.mask and cache.size(own.mask) is None:
            masks[own.mask] = example
        for key, flipped in ((own.latents, False), (own.mirrored, True)):
            if key and cache.size(key) is None:
                pictures.setdefault(example.bucket, {})[key] = (example, flipped)
    return [
        *(_Batch([key], [example.item.path.name], partial(_mask, example)) for key, example in masks.items()),
        *(
            _Batch(
                keys=[key for key, _ in part],
                names=[example.item.path.name for _, (example, _) in part],
                compute=partial(_encode_images, [shot for _, shot in part], encoders),
            )
            for bucket in pictures.values()
            for part in _parts(list(bucket.items()), IMAGE_BATCH)
        ),
    ]


def _text_batches(keys: Mapping[str, str], encoders: Encoders, cache: Cache) -> list[_Batch]:
    """The captions whose embeddings the cache lacks, in batches."""
    missing = [text for text, key in keys.items() if cache.size(key) is None]
    return [
        _Batch([keys[text] for text in part], part, partial(_encode_texts, part, encoders))
        for part in _parts(missing, TEXT_BATCH)
    ]


def _encode_images(shots: Sequence[tuple[Example, bool]], encoders: Encoders) -> list[Tensors]:
    """The latents of examples and mirrored examples of one bucket; each picture is read once."""
    different = dict.fromkeys(example for example, _ in shots)
    pixels = {example: prepare(example.item.path, example.placement, example.background) for example in different}
    batch = torch.stack([pixels[example].flip(-1) if flipped else pixels[example] for example, flipped in shots])
    return [{"latents": latents} for latents in encoders.encode_images(batch)]


def _encode_texts(captions: Sequence[str], encoders: Encoders) -> list[Tensors]:
    """The embeddings of captions."""
    batch = encoders.encode_text(captions)
    texts = [batch[number] for number in range(len(captions))]
    return [
        {"hidden": one.hidden} if one.pooled is None else {"hidden": one.hidden, "pooled": one.pooled} for one in texts
    ]


def _mask(example: Example) -> list[Tensors]:
    """The mask of an example."""
    item = example.item
    assert item.mask is not None
    return [{"mask": prepare_mask(item.mask, example.placement, opacity=item.mask == item.path)}]


def _compute(batch: _Batch, cache: Cache) -> None:
    """Compute a batch and keep it; NaN, which a VAE in half precision can give, must never be kept."""
    with torch.no_grad():
        results = batch.compute()
    for key, name, result in zip(batch.keys, batch.names, results, strict=True):
        if not all(torch.isfinite(tensor).all() for tensor in result.values()):
            raise RunFailed("encoded_not_finite", name=name)
        cache.put(key, result)


def _parts(sequence: Sequence[T], size: int) -> list[Sequence[T]]:
    """The sequence in pieces of at most ``size``."""
    return [sequence[start : start + size] for start in range(0, len(sequence), size)]
