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

from lora_trainer.commands import Commands
from lora_trainer.dataset.buckets import Placement, Size, bucket_sizes, place
from lora_trainer.dataset.cache import Cache, file_hash, latents_key, text_key
from lora_trainer.dataset.pictures import open_picture
from lora_trainer.dataset.scan import Item
from lora_trainer.errors import RunFailed
from lora_trainer.events import Progress
from lora_trainer.settings import DataSettings

IMAGE_BATCH = 4
TEXT_BATCH = 16

T = TypeVar("T")


class Encoders(Protocol):
    """The frozen parts of a checkpoint that see each image and caption once."""

    @property
    def model_key(self) -> str:
        """Names all that shapes the results besides their input: the weights and the number format."""

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 3, H, W) in -1..1, float32 on the CPU, to the posterior's mean and std (B, 2C, h, w)."""

    def encode_text(self, captions: Sequence[str]) -> torch.Tensor:
        """Captions to embeddings (B, T, D)."""


@dataclass(frozen=True, slots=True)
class Example:
    """An image and where it goes."""

    item: Item
    placement: Placement

    @property
    def bucket(self) -> Size:
        """Width and height of its bucket; only examples of one bucket share a batch."""
        return self.placement.bucket


@dataclass(frozen=True, slots=True)
class EncodedSet:
    """Latents by the example's number, embeddings by caption."""

    images: Sequence[torch.Tensor]
    texts: Mapping[str, torch.Tensor]

    def latents(self, index: int) -> torch.Tensor:
        """Mean and std of an example's latents (2C, h, w); draw from them anew in each step."""
        return self.images[index]

    def text(self, caption: str) -> torch.Tensor:
        """The embedding (T, D) of a caption, or of the empty one. ``KeyError`` where texts were left out."""
        return self.texts[caption]

    def to(self, device: torch.device | str) -> EncodedSet:
        """The same with every tensor on ``device``."""
        texts = {caption: tensor.to(device) for caption, tensor in self.texts.items()}
        return EncodedSet([tensor.to(device) for tensor in self.images], texts)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Results to be computed together: their keys, what a user calls their inputs, and how to compute them."""

    keys: Sequence[str]
    names: Sequence[str]
    compute: Callable[[], torch.Tensor]


def placed(items: Sequence[Item], data: DataSettings) -> list[Example]:
    """Every item with its place in the buckets of ``data``."""
    sizes = bucket_sizes(data)
    return [Example(item, place((item.width, item.height), sizes)) for item in items]


def captions_of(examples: Sequence[Example]) -> list[str]:
    """The distinct captions in order, after the empty one that stands for "no prompt"."""
    return list(dict.fromkeys(["", *(example.item.caption for example in examples)]))


def prepare(path: Path, placement: Placement) -> torch.Tensor:
    """The image as the VAE takes it: resized, cropped, (3, H, W) in -1..1."""
    picture = open_picture(path)
    # One step instead of resize and crop: a very long image would need gigabytes in between.
    box = placement.source_box(picture.size)
    picture = picture.resize(placement.bucket, Image.Resampling.LANCZOS, box=box)
    pixels: torch.Tensor = torch.from_numpy(np.array(picture, dtype=np.float32))  # (H, W, 3) in 0..255
    return pixels.permute(2, 0, 1).div(127.5).sub(1)


def encode(
    examples: Sequence[Example], encoders: Encoders, cache: Cache, commands: Commands, *, texts: bool = True
) -> Generator[Progress, None, EncodedSet | None]:
    """Compute what the cache lacks, batch by batch; returns the whole set, or None when stopped.

    Progress counts images and captions. Leave ``texts`` out when the text encoder itself is trained.
    """
    image_keys = []
    for example in examples:
        if commands.stopping_now:
            return None
        image_keys.append(latents_key(file_hash(example.item.path), example.placement, encoders.model_key))
    text_keys = {text: text_key(text, encoders.model_key) for text in (captions_of(examples) if texts else ())}

    batches = _image_batches(examples, image_keys, encoders, cache) + _text_batches(text_keys, encoders, cache)
    total = len(image_keys) + len(text_keys)
    done = total - sum(len(batch.keys) for batch in batches)
    yield Progress(stage="caching", done=done, total=total)

    for batch in batches:
        if commands.stopping_now:
            return None
        _compute(batch, cache)
        done += len(batch.keys)
        yield Progress(stage="caching", done=done, total=total)

    images = [_held(cache, key) for key in image_keys]
    return EncodedSet(images, {text: _held(cache, key) for text, key in text_keys.items()})


def _image_batches(examples: Sequence[Example], keys: Sequence[str], encoders: Encoders, cache: Cache) -> list[_Batch]:
    """The examples whose latents the cache lacks, in batches of one bucket."""
    missing: dict[Size, list[tuple[str, Example]]] = {}
    for key, example in zip(keys, examples, strict=True):
        if cache.get(key) is None:
            missing.setdefault(example.bucket, []).append((key, example))
    return [
        _Batch(
            keys=[key for key, _ in part],
            names=[example.item.path.name for _, example in part],
            compute=partial(_encode_images, [example for _, example in part], encoders),
        )
        for bucket in missing.values()
        for part in _parts(bucket, IMAGE_BATCH)
    ]


def _text_batches(keys: Mapping[str, str], encoders: Encoders, cache: Cache) -> list[_Batch]:
    """The captions whose embeddings the cache lacks, in batches."""
    missing = [text for text, key in keys.items() if cache.get(key) is None]
    return [
        _Batch([keys[text] for text in part], part, partial(encoders.encode_text, part))
        for part in _parts(missing, TEXT_BATCH)
    ]


def _encode_images(batch: Sequence[Example], encoders: Encoders) -> torch.Tensor:
    """Read and encode the images of a batch: (B, 2C, h, w)."""
    pixels = torch.stack([prepare(example.item.path, example.placement) for example in batch])
    return encoders.encode_images(pixels)


def _compute(batch: _Batch, cache: Cache) -> None:
    """Compute a batch and keep it; NaN, which a VAE in half precision can give, must never be kept."""
    with torch.no_grad():
        results = batch.compute()
    for key, name, result in zip(batch.keys, batch.names, results, strict=True):
        if not torch.isfinite(result).all():
            raise RunFailed("encoded_not_finite", name=name)
        cache.put(key, result)


def _held(cache: Cache, key: str) -> torch.Tensor:
    """A tensor that is known to be in the cache."""
    tensor = cache.get(key)
    assert tensor is not None
    return tensor


def _parts(sequence: Sequence[T], size: int) -> list[Sequence[T]]:
    """The sequence in pieces of at most ``size``."""
    return [sequence[start : start + size] for start in range(0, len(sequence), size)]
