"""What was encoded is held where it fits: on the device, in memory, on the disk; it is the same everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lora_trainer.dataset.cache import Cache
from lora_trainer.dataset.encoded import EncodedSet
from lora_trainer.dataset.examples import Example, placed
from lora_trainer.dataset.scan import scan
from lora_trainer.errors import RunFailed
from lora_trainer.settings import CaptionSettings, DataSettings

from .encoders import FakeEncoders, run
from .files import save, says

TEXTS = ["", "hat", "sky"]
META = torch.device("meta")  # a device that every computer has: it holds no numbers, but tells where they would be


class WatchedCache(Cache):
    """Remembers what was read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.read: list[str] = []

    def get(self, key: str) -> dict[str, torch.Tensor] | None:
        self.read.append(key)
        return super().get(key)


@pytest.fixture
def cache(tmp_path: Path) -> WatchedCache:
    return WatchedCache(tmp_path / "cache")


@pytest.fixture
def encoded(tmp_path: Path, cache: WatchedCache) -> EncodedSet:
    """Three images with masks and mirror images, of nearly the same number of bytes."""
    for number in range(3):
        save(tmp_path / "images" / f"{number}.png", 60 + number, 60)
    data = DataSettings(images=str(tmp_path / "images"), resolution=64, alpha_mask=True, flip_aug=True)
    examples: list[Example] = placed(scan(data, CaptionSettings()), data)
    _, found = run(examples, FakeEncoders(), cache, TEXTS)
    assert found is not None
    cache.read.clear()
    return found


def everything(encoded: EncodedSet) -> list[torch.Tensor]:
    found = [encoded.text(text).hidden for text in TEXTS]
    for index in range(3):
        for flipped in (False, True):
            mask = encoded.mask(index, flipped)
            assert mask is not None
            found += [encoded.latents(index, flipped), mask, encoded.sizes(index, flipped)]
    return found


def reads(encoded: EncodedSet, cache: WatchedCache) -> int:
    """How many of the 12 entries are read from the disk when all are asked for."""
    cache.read.clear()
    everything(encoded)
    return len(set(cache.read))


def test_from_the_disk_from_memory_and_from_both(encoded: EncodedSet, cache: WatchedCache) -> None:
    assert reads(encoded, cache) == 12
    half = encoded.to("cpu", memory_budget=encoded.size_bytes // 2)
    whole = encoded.to("cpu", memory_budget=encoded.size_bytes)
    assert 0 < reads(half, cache) < 12
    assert reads(whole, cache) == 0
    assert reads(encoded.to("cpu"), cache) == 0
    assert reads(encoded.to("cpu", memory_budget=0), cache) == 12
    assert reads(encoded.to("cpu", device_budget=encoded.size_bytes, memory_budget=0), cache) == 12  # its memory is one
    for other in (half, whole):
        assert all(torch.equal(a, b) for a, b in zip(everything(encoded), everything(other), strict=True))


def test_what_is_held_stays_within_its_budget(encoded: EncodedSet) -> None:
    assert encoded.size_bytes == sum(file.stat().st_size for file in encoded._cache.folder.iterdir())
    for share in range(0, 11):
        device_budget, memory_budget = encoded.size_bytes * share // 20, encoded.size_bytes * share // 10
        held = encoded.to(META, device_budget, memory_budget)._held
        sizes = {"meta": 0, "cpu": 0}
        for tensors in held.values():
            for tensor in tensors.values():
                sizes[tensor.device.type] += tensor.nbytes
        assert sizes["meta"] <= device_budget
        assert sizes["cpu"] <= memory_budget
        assert len(held) == 12 or share < 7


def test_the_device_first_then_memory_then_the_disk(encoded: EncodedSet, cache: WatchedCache) -> None:
    third = encoded.size_bytes // 3
    moved = encoded.to(META, device_budget=third, memory_budget=third)
    places = [{tensor.device.type for tensor in one.values()} for one in moved._held.values()]
    assert {"meta"} in places
    assert {"cpu"} in places
    assert 0 < reads(moved, cache) < 12
    assert "meta" in {tensor.device.type for tensor in moved._held[encoded._keys[0].latents].values()}
    assert all(tensor.device == META for tensor in everything(moved))  # wherever it is kept
    assert moved.text("hat").hidden.device == META
    assert reads(encoded.to(META), cache) == 0
    assert all(tensor.device.type == "cpu" for tensor in everything(encoded))  # as it was


def test_what_was_left_out(encoded: EncodedSet) -> None:
    with pytest.raises(KeyError):
        encoded.text("sea")


def test_a_cache_that_was_cleared_is_told(encoded: EncodedSet, cache: WatchedCache) -> None:
    held = encoded.to("cpu")
    for file in cache.folder.iterdir():
        file.unlink()
    assert held.latents(0).shape == (6, 8, 8)
    with pytest.raises(RunFailed) as caught:
        encoded.latents(0)
    assert caught.value.key == "cache_lost"
    assert says(caught.value, str(cache.folder))
    with pytest.raises(RunFailed):
        encoded.to("cpu")
