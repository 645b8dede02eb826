"""What was encoded, wherever it is kept: on the device while it fits, else in memory, else on the disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from lora_trainer.checkpoint.text import Text
from lora_trainer.dataset.cache import Cache
from lora_trainer.dataset.examples import Example
from lora_trainer.errors import RunFailed


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the tensors of an example are in the cache; None where it has none."""

    latents: str
    mirrored: str | None
    mask: str | None


class EncodedSet:
    """Latents, masks and sizes by the example's number, embeddings by caption; all on ``device`` when asked for."""

    def __init__(self, examples: Sequence[Example], keys: Sequence[Keys], texts: Mapping[str, str], cache: Cache):
        self.examples, self._keys, self._texts, self._cache = examples, keys, texts, cache
        self._held: dict[str, dict[str, torch.Tensor]] = {}
        self.device = torch.device("cpu")

    def latents(self, index: int, flipped: bool = False) -> torch.Tensor:
        """Mean and std of an example's latents (2C, h, w), or of its mirror image's; draw from them in each step."""
        keys = self._keys[index]
        key = keys.mirrored if flipped else keys.latents
        assert key is not None, "the mirror image was not encoded"
        return self._tensors(key)["latents"]

    def mask(self, index: int, flipped: bool = False) -> torch.Tensor | None:
        """(1, h, w) in 0..1, 1 where the example is learnt; None for everywhere."""
        key = self._keys[index].mask
        if key is None:
            return None
        mask = self._tensors(key)["mask"]
        return mask.flip(-1) if flipped else mask

    def sizes(self, index: int, flipped: bool = False) -> torch.Tensor:
        """(6,) original height and width, crop top and left, target height and width, in pixels, float32."""
        return torch.tensor(self.examples[index].sizes(flipped), dtype=torch.float32, device=self.device)

    def text(self, caption: str) -> Text:
        """The embedding of one caption, or of the empty one. ``KeyError`` where it was left out."""
        tensors = self._tensors(self._texts[caption])
        return Text(tensors["hidden"], tensors.get("pooled"))

    @property
    def size_bytes(self) -> int:
        """How much there is to keep."""
        return sum(self._cache.size(key) or 0 for key in self._all_keys())

    def to(
        self, device: torch.device | str, device_budget: int | None = None, memory_budget: int | None = None
    ) -> EncodedSet:
        """The same for ``device``: as much held there as goes into ``device_budget`` bytes, of the rest as much in
        memory as goes into ``memory_budget``, the remainder read from the disk each time. None is no limit.

        On the CPU only ``memory_budget`` counts. Latents and masks go first: there are fewer of them to choose from.
        """
        moved = EncodedSet(self.examples, self._keys, self._texts, self._cache)
        moved.device = torch.device(device)
        memory = torch.device("cpu")
        left = {memory: memory_budget, moved.device: memory_budget if moved.device == memory else device_budget}
        for key in self._all_keys():
            size = self._cache.size(key) or 0
            place = next((one for one in (moved.device, memory) if _fits(size, left[one])), None)
            if place is not None:
                left[place] = _less(left[place], size)
                moved._held[key] = {name: tensor.to(place) for name, tensor in self._stored(key).items()}
        return moved

    def _all_keys(self) -> list[str]:
        """Every key once, in the order in which they are to be held."""
        images = [key for keys in self._keys for key in (keys.latents, keys.mask, keys.mirrored) if key is not None]
        return list(dict.fromkeys([*images, *self._texts.values()]))

    def _tensors(self, key: str) -> dict[str, torch.Tensor]:
        found = self._held.get(key) or self._stored(key)
        return {name: tensor.to(self.device) for name, tensor in found.items()}

    def _stored(self, key: str) -> dict[str, torch.Tensor]:
        found = self._cache.get(key)
        if found is None:
            raise RunFailed("cache_lost", folder=self._cache.folder)
        return found


def _fits(size: int, left: int | None) -> bool:
    return left is None or size <= left


def _less(left: int | None, size: int) -> int | None:
    return None if left is None else left - size
