"""Every remedy mends its finding and can be taken back byte for byte, also by another process; nothing is deleted."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from lora_trainer.dataset.checks import Brief, action_of, check, record, survey, take_back
from lora_trainer.dataset.checks.actions import JOURNAL, Move, Write, aside_folder, perform
from lora_trainer.dataset.checks.captioning import as_utf8
from lora_trainer.dataset.scan import scan
from lora_trainer.errors import BadDataset
from lora_trainer.settings import CaptionSettings, DataSettings
from tests.dataset.checks.sets import SIDE, add, faulty, scene, sound


def contents(folder: Path) -> dict[str, bytes | str]:
    """Everything below a folder."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def mend(folder: Path, **settings: object) -> list[str]:
    """Perform every remedy there is, measuring anew after each; returns what was mended."""
    data = replace(DataSettings(images=str(folder), resolution=SIDE, trigger="myword"), **settings)  # type: ignore[arg-type]
    done: list[str] = []
    while True:
        found = survey(data, CaptionSettings())
        brief = Brief(data, CaptionSettings())
        actions = [(one.key, action_of(one, found, brief)) for one in check(found, brief)]
        planned = next(((key, action) for key, action in actions if action), None)
        if planned is None:
            return done
        record(folder, planned[1])
        done.append(planned[0])


def test_all_is_mended_and_taken_back(tmp_path: Path) -> None:
    expected = faulty(tmp_path)
    before = contents(tmp_path)
    done = mend(tmp_path / "set")
    assert set(done) >= set(expected) - {"too_few", "imbalance", "crop", "folder_loop"}
    items = scan(DataSettings(images=str(tmp_path / "set"), trigger="myword"), CaptionSettings())
    assert len(items) > 20
    after = contents(tmp_path)
    kept = {content for content in after.values() if isinstance(content, bytes)}
    pictures = {content for name, content in before.items() if not name.endswith(".txt") and isinstance(content, bytes)}
    assert pictures <= kept
    for _ in done:
        assert take_back(tmp_path / "set")
    assert take_back(tmp_path / "set") is None
    left = contents(tmp_path)
    assert left.pop(f"set (set aside)/{JOURNAL}") == b""
    assert left == before


def test_setting_aside_keeps_a_caption_that_another_image_needs(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    first = sound(folder, 10)[0]
    scene(50).save(first.with_suffix(".jpg"))
    first.write_bytes(b"")
    assert mend(folder) == ["empty_file"]
    assert first.with_suffix(".txt").is_file()
    assert (aside_folder(folder) / first.name).is_file()


def test_setting_aside_takes_the_image_out_of_the_list_of_repeats(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    paths = sound(folder, 11)
    (folder / "repeats.txt").write_text(f"{paths[0].name}: 5\n{paths[1].name}: 3\n", encoding="utf-8")
    paths[0].write_bytes(b"")
    assert mend(folder) == ["empty_file"]
    assert (folder / "repeats.txt").read_text(encoding="utf-8") == f"{paths[1].name}: 3\n"
    assert len(scan(DataSettings(images=str(folder)), CaptionSettings())) == 10


def test_two_of_a_name_are_both_kept_aside(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    sound(folder, 10)
    for _ in range(2):
        (folder / "bad.png").write_bytes(b"")
        assert mend(folder) == ["empty_file"]
    assert {path.name for path in aside_folder(folder).glob("bad*")} == {"bad.png", "bad 2.png"}


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-16-le", "cp1252"])
def test_encodings_are_told(encoding: str) -> None:
    text = "tag, caf\u00e9" if encoding == "cp1252" else "tag, 一个东西"
    assert as_utf8(text.encode(encoding)) == text


def test_a_failing_step_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    before = contents(tmp_path)
    with pytest.raises(BadDataset, match="meanwhile"):
        perform((Move(tmp_path / "a", tmp_path / "c"), Write(tmp_path / "b", b"other", b"new")))
    with pytest.raises(BadDataset, match="exists"):
        perform((Write(tmp_path / "b", b"b", b"new"), Move(tmp_path / "a", tmp_path / "b")))
    assert contents(tmp_path) == before


def test_what_was_edited_since_is_not_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    path = sound(folder, 10)[0]
    path.with_suffix(".txt").write_text("my_word, a thing", encoding="utf-8")
    assert mend(folder) == ["trigger_variant"]
    assert path.with_suffix(".txt").read_text(encoding="utf-8") == "myword, a thing"
    path.with_suffix(".txt").write_text("edited", encoding="utf-8")
    with pytest.raises(BadDataset):
        take_back(folder)
    assert path.with_suffix(".txt").read_text(encoding="utf-8") == "edited"


def test_a_read_only_folder_is_said_and_nothing_changes(tmp_path: Path) -> None:
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        pytest.skip("needs permissions that hold")
    folder = tmp_path / "set"
    path = sound(folder, 10)[0]
    add(scene(60), path, None)
    path.with_suffix(".txt").write_bytes("一个东西".encode("gb18030"))
    before = contents(folder)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(BadDataset):
            mend(folder)
        assert contents(folder) == before
    finally:
        folder.chmod(stat.S_IRWXU)


def test_a_drive_that_cannot_be_written_is_said_and_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    sound(folder, 10)[0].write_bytes(b"")
    before = contents(tmp_path)

    def refuse(path: Path, content: bytes | str) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr("lora_trainer.dataset.checks.actions.write_whole", refuse)
    with pytest.raises(BadDataset, match="Read-only"):
        mend(folder)
    assert contents(tmp_path) == before


def test_sub_folders_are_balanced_by_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    sound(folder / "1_few thing", 3)
    sound(folder / "10_many thing", 9, first=20)
    assert mend(folder) == ["imbalance"]
    assert sorted(path.name for path in folder.iterdir()) == ["16_few thing", "5_many thing"]
    assert take_back(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["10_many thing", "1_few thing"]
