"""Keeping the chosen epochs: files go aside with their cards, come back, and none is ever overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_trainer.errors import BadSettings
from lora_trainer.picking.trash import FOLDER, keep, restore, trash_of, trashed

RUN = "20260101-000000-hero"


@pytest.fixture()
def files(tmp_path: Path) -> dict[int, Path]:
    made = {epoch: tmp_path / f"hero-{epoch:06d}.safetensors" for epoch in (1, 2, 3)}
    for epoch, path in made.items():
        path.write_bytes(b"x" * epoch)
    made[2].with_suffix(".json").write_text("{}")
    made[2].with_suffix(".png").write_bytes(b"png")
    return made


def listed(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_files_go_aside_and_come_back_as_they_were(files: dict[int, Path], tmp_path: Path) -> None:
    before = listed(tmp_path)
    moved = keep(RUN, files, [3])
    assert (moved.count, moved.size, moved.folder) == (2, 3, trash_of(RUN, tmp_path))
    assert sorted(listed(tmp_path)) == ["hero-000003.safetensors"]
    assert not list(moved.folder.glob("*.safetensors"))  # the WebUI would list them
    assert len(trashed(RUN, tmp_path)) == 2
    assert str(tmp_path) in (moved.folder / "README.txt").read_text(encoding="utf-8")
    back = restore(RUN, tmp_path)
    assert (back.count, back.size, back.left) == (2, 3, 0)
    assert listed(tmp_path) == before
    assert not (tmp_path / FOLDER).exists()


def test_a_file_of_the_same_name_is_not_overwritten(files: dict[int, Path], tmp_path: Path) -> None:
    keep(RUN, files, [3])
    files[1].write_bytes(b"trained anew")
    back = restore(RUN, tmp_path)
    assert (back.count, back.left) == (1, 1)
    assert files[1].read_bytes() == b"trained anew"
    assert len(trashed(RUN, tmp_path)) == 1


def test_all_cannot_go(files: dict[int, Path], tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        keep(RUN, files, [7])
    assert caught.value.key == "keep_none"
    assert len(listed(tmp_path)) == 5


def test_twice_is_once(files: dict[int, Path], tmp_path: Path) -> None:
    keep(RUN, files, [2, 3])
    assert keep(RUN, files, [2, 3]).count == 0
    assert keep(RUN, files, [2]).count == 1
    assert restore(RUN, tmp_path).count == 2
    assert restore(RUN, tmp_path).count == 0
