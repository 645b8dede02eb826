"""What is kept comes back; what is damaged, foreign or stale does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lora_trainer.dataset.buckets import Placement
from lora_trainer.dataset.cache import Cache, file_hash, latents_key, mask_key, text_key
from lora_trainer.errors import RunFailed

from .files import says

KEY = text_key("hat", "model")
PLACEMENT = Placement((512, 512), (600, 512), (44, 0, 556, 512))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_is_kept_comes_back(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = tmp_path / "我的 run" / "cache"
    tensor = torch.randn(8, 4, 6).to(dtype).transpose(1, 2)  # not contiguous
    cache = Cache(folder)
    assert cache.get(KEY) is None
    assert cache.size(KEY) is None
    cache.put(KEY, {"hidden": tensor, "pooled": tensor[0, 0]})
    found = Cache(folder).get(KEY)
    assert found is not None
    assert set(found) == {"hidden", "pooled"}
    assert found["hidden"].dtype == dtype
    assert torch.equal(found["hidden"], tensor)
    assert torch.equal(found["pooled"], tensor[0, 0])
    assert [file.name for file in folder.iterdir()] == [f"{KEY}.safetensors"]
    assert cache.size(KEY) == (folder / f"{KEY}.safetensors").stat().st_size


def test_no_file_stays_open(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put(KEY, {"a": torch.ones(3)})
    found = cache.get(KEY)
    assert cache.size(KEY) is not None
    cache.put(KEY, {"a": torch.zeros(3)})  # Windows would refuse
    (tmp_path / f"{KEY}.safetensors").unlink()
    assert found is not None
    assert found["a"].sum() == 3
    assert cache.get(KEY) is None


def test_a_row_of_a_batch_is_kept_alone(tmp_path: Path) -> None:
    batch = torch.zeros(100, 1000)
    cache = Cache(tmp_path)
    cache.put(KEY, {"a": batch[0]})
    assert (cache.size(KEY) or 0) < 5000


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def scribble(file: Path) -> None:
    file.write_text("not a tensor", encoding="utf-8")


def foreign(file: Path) -> None:
    save_file({"latents": torch.zeros(3)}, file)


def mixed_up(file: Path) -> None:
    save_file({f"{text_key('other', 'model')}/a": torch.zeros(3)}, file)


def nothing(file: Path) -> None:
    save_file({}, file)


@pytest.mark.parametrize("damage", [truncate, empty, scribble, foreign, mixed_up, nothing])
def test_a_damaged_or_foreign_file_is_missing_and_rewritten(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    Cache(tmp_path).put(KEY, {"a": torch.ones(3)})
    damage(tmp_path / f"{KEY}.safetensors")
    cache = Cache(tmp_path)
    assert cache.get(KEY) is None
    assert cache.size(KEY) is None
    cache.put(KEY, {"a": torch.full((3,), 2.0)})
    found = Cache(tmp_path).get(KEY)
    assert found is not None
    assert found["a"].tolist() == [2, 2, 2]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    Cache(tmp_path).put(KEY, {"a": torch.ones(3)})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFailed) as caught:
        Cache(tmp_path).put(KEY, {"a": torch.zeros(3)})
    assert caught.value.key == "cache_unwritable"
    assert says(caught.value, str(tmp_path), "No space left on device")
    assert [file.name for file in tmp_path.iterdir()] == [f"{KEY}.safetensors"]
    kept = Cache(tmp_path).get(KEY)
    assert kept is not None
    assert kept["a"].tolist() == [1, 1, 1]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file is in the way")
    cache = Cache(tmp_path / "cache")
    assert cache.get(KEY) is None
    assert cache.size(KEY) is None
    with pytest.raises(RunFailed):
        cache.put(KEY, {"a": torch.zeros(3)})


def test_file_hash_sees_content_only(tmp_path: Path) -> None:
    first, second = tmp_path / "a.png", tmp_path / "图 b.png"
    first.write_bytes(b"abc")
    second.write_bytes(b"abc")
    os.utime(second, (1, 1))
    assert file_hash(first) == file_hash(second)
    assert file_hash(first) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    second.write_bytes(b"abd")
    assert file_hash(first) != file_hash(second)


def test_a_change_of_anything_is_another_key() -> None:
    moved = replace(PLACEMENT, crop=(45, 0, 557, 512))
    other = Placement((448, 576), (448, 600), (0, 12, 448, 588))
    keys = [
        latents_key("a" * 64, PLACEMENT, "model"),
        latents_key("b" * 64, PLACEMENT, "model"),
        latents_key("a" * 64, moved, "model"),
        latents_key("a" * 64, other, "model"),
        latents_key("a" * 64, replace(PLACEMENT, resize=(601, 512)), "model"),
        latents_key("a" * 64, PLACEMENT, "model 2"),
        latents_key("a" * 64, PLACEMENT, "model", flipped=True),
        latents_key("a" * 64, PLACEMENT, "model 2", flipped=True),
        latents_key("a" * 64, PLACEMENT, "model", background="black"),
        mask_key("a" * 64, PLACEMENT, opacity=False),
        mask_key("a" * 64, PLACEMENT, opacity=True),
        mask_key("b" * 64, PLACEMENT, opacity=True),
        mask_key("a" * 64, moved, opacity=True),
        text_key("hat", "model"),
        text_key("Hat", "model"),
        text_key("hat", "model 2"),
        text_key("hatm", "odel"),
        text_key("", "model"),
        text_key("红色帽子", "model"),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)
    assert keys[0] == latents_key("a" * 64, replace(PLACEMENT), "model")
    assert keys[0] == latents_key("a" * 64, PLACEMENT, "model", background="#FFFFFF")
