"""Undo and redo: the very bytes, across restarts, crashes and other programs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lora_trainer.captions import journal as journal_module
from lora_trainer.captions import writing
from lora_trainer.captions.caption import Kept
from lora_trainer.captions.operations import (
    Add,
    Deduplicate,
    Operation,
    Remove,
    Replace,
    ReplacePattern,
    SetCaptions,
    Sort,
)
from lora_trainer.captions.selection import Everything, Filtered, Listed, Selection
from lora_trainer.captions.store import CaptionStore
from lora_trainer.errors import BadDataset
from lora_trainer.language import Chinese

from .folders import fill, snapshot

ALL = Everything()
WORDS = ["hat", "red hat", "Hat", "sks", "1girl", "long_hair", "帽子", "a \\(b\\)", "x" * 50, "|||", "é"]
ENDS = ["", "\n", "\r\n", "\r", "\n\n", " ", ",", "\t\n"]
BETWEEN = [", ", ",", " , ", "，", "\n", "\r\n", ",,"]


class Crash(BaseException):
    """The process is gone."""


def random_caption(chance: random.Random) -> bytes | None:
    """A file as people and programs leave them."""
    kind = chance.random()
    if kind < 0.15:
        return None
    if kind < 0.2:
        return b""
    if kind < 0.25:
        return chance.choice([b"\xff\xfeh\0a\0", b"\xe4rger", b"\0", b"\xef\xbb\xbf"])
    text = chance.choice(BETWEEN).join(chance.choices(WORDS, k=chance.randrange(1, 8)))
    return (b"\xef\xbb\xbf" if chance.random() < 0.2 else b"") + (text + chance.choice(ENDS)).encode()


def random_edit(chance: random.Random, store: CaptionStore) -> tuple[Operation, Selection, Kept]:
    words = tuple(chance.choices(WORDS, k=chance.randrange(1, 3)))
    images = [image for one in store.captions for image in one.images]
    some = tuple(chance.sample(images, k=chance.randrange(len(images) + 1)))
    operation: Operation = chance.choice(
        [
            Add(", ".join(words), chance.choice([0, 1, 3, None]), chance.random() < 0.5),
            Remove(words),
            Replace(words[0], chance.choice(WORDS), chance.random() < 0.5),
            ReplacePattern(chance.choice(["a", "(h)(a)", ".*", "^", "\\w+$"]), chance.choice(["", "z", "\\g<0>, q"])),
            Deduplicate(),
            Sort(chance.random() < 0.5),
            SetCaptions({image: ", ".join(words) for image in some}),
        ]
    )
    selection = chance.choice([ALL, Filtered("not *"), Filtered("hat or * *"), Listed(some)])
    return operation, selection, chance.choice([Kept(), Kept("sks"), Kept(count=2)])


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("block", range(10))
def test_500_random_sequences_undone_give_back_every_byte(tmp_path: Path, block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        names = ["a", "b", "图 1", "5_sks girl/a", "5_sks girl/b c"]
        store = fill(folder, {name: random_caption(chance) for name in names})
        states = [snapshot(folder)]
        for _ in range(chance.randrange(1, 7)):
            outcome = store.apply(*random_edit(chance, store))
            assert not outcome.refused
            if outcome.images:
                states.append(snapshot(folder))
                assert states[-1] != states[-2]
            if chance.random() < 0.3:
                store = CaptionStore(folder)
            if chance.random() < 0.2 and store.undo():
                states.pop()
                assert snapshot(folder) == states[-1]
        assert len(store.done) == len(states) - 1
        left = len(store.undone)  # of an undo after which nothing was changed
        for state in reversed(states[:-1]):
            store = CaptionStore(folder) if chance.random() < 0.3 else store
            assert store.undo() is not None
            assert snapshot(folder) == state, seed
        assert store.undo() is None
        for state in states[1:]:
            store = CaptionStore(folder) if chance.random() < 0.3 else store
            assert store.redo() is not None
            assert snapshot(folder) == state, seed
        assert len(store.undone) == left
        while store.undo():
            pass
        assert snapshot(folder) == states[0], seed


def test_undo_and_redo_across_restarts(tmp_path: Path) -> None:
    before = {"a": "hat\r\n", "b": b"\xef\xbb\xbfhat", "c": None}
    fill(tmp_path, before).apply(Add("x"), ALL)
    first = snapshot(tmp_path)
    CaptionStore(tmp_path).apply(Remove(("hat",)), ALL)
    second = snapshot(tmp_path)
    store = CaptionStore(tmp_path)
    assert [change.text() for change in store.done] == ["Added “x”", "Removed “hat”"]
    assert [change.images for change in store.done] == [3, 2]
    assert store.done[0].text(Chinese) == "添加了“x”"
    assert store.undo() is not None
    assert snapshot(tmp_path) == first
    assert [one.tags for one in store.captions] == [("x", "hat"), ("x", "hat"), ("x",)]
    store = CaptionStore(tmp_path)
    assert len(store.done) == len(store.undone) == 1
    assert store.redo() is not None
    assert snapshot(tmp_path) == second
    for _ in range(2):
        assert CaptionStore(tmp_path).undo() is not None
    assert (tmp_path / "a.txt").read_bytes() == b"hat\r\n"
    assert (tmp_path / "b.txt").read_bytes() == b"\xef\xbb\xbfhat"
    assert not (tmp_path / "c.txt").exists()
    CaptionStore(tmp_path).apply(Add("y"), ALL)
    assert CaptionStore(tmp_path).undone == ()


def test_the_journal_goes_where_the_folder_goes_and_is_no_part_of_the_set(tmp_path: Path) -> None:
    fill(tmp_path / "old", {"5_x/a": "hat"}).apply(Add("x"), ALL)
    (tmp_path / "old").rename(tmp_path / "new")
    store = CaptionStore(tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir() if not path.name.startswith(".")] == ["5_x"]
    assert store.undo() is not None
    assert (tmp_path / "new/5_x/a.txt").read_bytes() == b"hat"


def test_undo_refuses_what_another_program_changed_and_loses_nothing(tmp_path: Path) -> None:
    store = fill(tmp_path, {"a": "hat", "b": "hat", "c": None, "d": "hat"})
    store.apply(Add("x"), ALL)
    (tmp_path / "a.txt").write_text("mine")
    (tmp_path / "c.txt").unlink()
    (tmp_path / "d.txt").write_text("hat")  # as it was before: nothing to do
    outcome = store.undo()
    assert outcome is not None
    assert [(one.file.name, one.error.key) for one in outcome.refused] == [("a.txt", "caption_undo_changed")]
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert (tmp_path / "b.txt").read_text() == "hat"
    assert "hat" in (tmp_path / ".lora_trainer/captions.jsonl").read_text()
    outcome = store.redo()
    assert outcome is not None
    assert [(one.file.name, one.error.key) for one in outcome.refused] == [("a.txt", "caption_redo_changed")]
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert (tmp_path / "c.txt").read_text() == "x\n"


def test_images_and_folders_that_are_gone_do_not_hinder_undo(tmp_path: Path) -> None:
    store = fill(tmp_path, {"5_x/a": "hat", "6_y/a": "hat", "b": "hat"})
    store.apply(Add("x"), ALL)
    (tmp_path / "6_y/a.txt").unlink()
    (tmp_path / "6_y/a.png").unlink()
    (tmp_path / "6_y").rmdir()
    (tmp_path / "b.png").unlink()
    store = CaptionStore(tmp_path)
    assert store.undo() is not None
    assert (tmp_path / "b.txt").read_text() == (tmp_path / "5_x/a.txt").read_text() == "hat"


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("step", ["apply", "undo", "redo"])
def test_a_crash_is_completed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, at: int
) -> None:
    store = fill(tmp_path, {"a": "hat\r\n", "b": "hat", "c": None, "d": "x", "5_y/a": "hat"})
    before = snapshot(tmp_path)
    store.apply(Replace("hat", "cap"), ALL)
    store.apply(Add("new"), ALL)
    after = snapshot(tmp_path)
    if step != "undo":
        store.undo()
    middle = snapshot(tmp_path)
    real, count = writing.put, iter(range(100))

    def put(file: Path, new: bytes | None) -> None:
        if next(count) == at:
            (file.parent / writing.TEMPORARY).write_bytes(b"half of it")
            raise Crash
        real(file, new)

    monkeypatch.setattr(writing, "put", put)
    with pytest.raises(Crash):
        store.apply(Add("new"), ALL) if step == "apply" else store.undo() if step == "undo" else store.redo()
    monkeypatch.setattr(writing, "put", real)
    store = CaptionStore(tmp_path)
    assert store.resumed is not None and not store.resumed.refused
    assert not list(tmp_path.rglob(writing.TEMPORARY))
    assert snapshot(tmp_path) == (middle if step == "undo" and middle != after else _undone(tmp_path, step, after))
    while store.undo():
        pass
    assert snapshot(tmp_path) == before


def _undone(folder: Path, step: str, after: dict[str, bytes]) -> dict[str, bytes]:
    """What the folder has to hold: with the edit for apply and redo; for undo, the captions of the first edit."""
    if step != "undo":
        return after
    texts = {"a.txt": b"cap\r\n", "b.txt": b"cap", "d.txt": b"x", "5_y/a.txt": b"cap, y"}
    known = {name: text for name, text in after.items() if name.endswith(".png")}
    return {**known, **texts, "5_y/a.txt": b"cap"}


def test_a_process_that_is_killed(tmp_path: Path) -> None:
    fill(tmp_path, {str(number): "hat" for number in range(20)})
    before = snapshot(tmp_path)
    code = (
        "import os, sys; from pathlib import Path; from lora_trainer.captions import writing\n"
        "from lora_trainer.captions.store import CaptionStore\n"
        "from lora_trainer.captions.operations import Add; from lora_trainer.captions.selection import Everything\n"
        "real, left = writing.put, iter(range(7))\n"
        "writing.put = lambda file, new: real(file, new) if next(left, None) is not None else os._exit(9)\n"
        "CaptionStore(Path(sys.argv[1])).apply(Add('x'), Everything())\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, env={**os.environ, "PYTHONPATH": ""})
    assert done.returncode == 9
    assert len({text for name, text in snapshot(tmp_path).items() if name.endswith(".txt")}) == 2
    store = CaptionStore(tmp_path)
    assert {text for name, text in snapshot(tmp_path).items() if name.endswith(".txt")} == {b"x, hat"}
    assert store.undo() is not None
    assert snapshot(tmp_path) == before


def test_a_crash_leaves_alone_what_another_program_changed_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(tmp_path, {"a": "hat", "b": "hat"})

    def put(file: Path, new: bytes | None) -> None:
        raise Crash

    with monkeypatch.context() as broken:
        broken.setattr(writing, "put", put)
        with pytest.raises(Crash):
            store.apply(Add("x"), ALL)
    (tmp_path / "b.txt").write_text("mine")
    store = CaptionStore(tmp_path)
    assert store.resumed is not None
    assert [(one.file.name, one.error.key) for one in store.resumed.refused] == [("b.txt", "caption_resumed_changed")]
    assert ((tmp_path / "a.txt").read_text(), (tmp_path / "b.txt").read_text()) == ("x, hat", "mine")


@pytest.mark.parametrize("step", ["apply", "undo"])
@pytest.mark.parametrize("back_fails", [False, True])
def test_a_full_disk_takes_the_edit_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, back_fails: bool
) -> None:
    store = fill(tmp_path, {"a": "hat", "b": "hat", "c": None, "d": "hat"})
    if step == "undo":
        store.apply(Add("x"), ALL)
    before = snapshot(tmp_path)
    real, count = writing.put, iter(range(100))

    def put(file: Path, new: bytes | None) -> None:
        number = next(count)
        if number == 2 or (back_fails and number > 3):
            raise OSError(28, "No space left on device")
        real(file, new)

    with monkeypatch.context() as broken:
        broken.setattr(writing, "put", put)
        with pytest.raises(BadDataset) as caught:
            store.apply(Add("x"), ALL) if step == "apply" else store.undo()
    assert "No space left" in caught.value.text()
    if back_fails:
        store = CaptionStore(tmp_path)  # finishes the way back
    assert snapshot(tmp_path) == before
    assert [len(store.done), len(store.undone)] == [step == "undo", 0]
    outcome = store.apply(Add("y"), ALL)
    assert (outcome.images, outcome.refused) == (4, ())


def test_a_journal_cut_off_anywhere_is_read(tmp_path: Path) -> None:
    store = fill(tmp_path, {"a": "hat", "b": None})
    store.apply(Add("x"), ALL)
    done = snapshot(tmp_path)
    file = tmp_path / ".lora_trainer/captions.jsonl"
    whole = file.read_bytes()
    store.apply(Add("y"), ALL)
    more = file.read_bytes()[len(whole) :]
    first = more.index(b"\n")
    for end in (0, 1, first // 2, first):
        for name, text in done.items():
            (tmp_path / name).write_bytes(text)
        file.write_bytes(whole + more[:end])
        store = CaptionStore(tmp_path)
        assert len(store.done) == 1
        assert snapshot(tmp_path) == done
        store.apply(Add("z"), ALL)
        for count in (1, 0):
            store = CaptionStore(tmp_path)
            assert len(store.done) == count + 1
            assert store.undo() is not None
        assert not (tmp_path / "b.txt").exists()
        assert (tmp_path / "a.txt").read_bytes() == b"hat"


def test_a_strangers_journal_reaches_nothing_outside_the_captions(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    fill(folder, {"a": "hat", "5_x/a": "hat"})
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "a.md").write_text("secret")
    (folder / "5_x/deep").mkdir()
    (folder / "5_x/deep/a.txt").write_text("secret")
    (folder / ".lora_trainer").mkdir()
    names = [
        "../outside.txt",
        str(tmp_path / "outside.txt"),
        "5_x/../../outside.txt",
        "a.md",
        "5_x/deep/a.txt",
        "..",
        "",
    ]
    files = [[name, "secret", "gone"] for name in names]
    record = {"kind": "change", "id": 1, "title": "captions.did_{tags.__class__}", "values": {}, "images": 1}
    lines = [
        b"\xff\xfe nonsense",
        b"[]",
        b'"change"',
        json.dumps({**record, "time": 1, "files": [["a.txt", 5, {}]]}).encode(),
        json.dumps({**record, "time": "x", "files": []}).encode(),
        json.dumps({**record, "time": 1, "files": files}).encode(),
    ]
    (folder / ".lora_trainer/captions.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    before = snapshot(tmp_path)
    store = CaptionStore(folder)
    assert store.done[0].text() == "Edited captions"
    store.undo()
    store.redo()
    after = snapshot(tmp_path)
    for state in (before, after):
        for name in [name for name in state if ".lora_trainer" in name]:
            del state[name]
    assert after == before


def test_a_long_journal_loses_its_oldest_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = fill(tmp_path, {"a": "hat"})
    for number in range(40):
        store.apply(Add(f"tag {number}"), ALL)
    for _ in range(3):
        store.undo()
    state = snapshot(tmp_path)
    size = (tmp_path / ".lora_trainer/captions.jsonl").stat().st_size
    monkeypatch.setattr(journal_module, "MOST_BYTES", size // 2)
    store = CaptionStore(tmp_path)
    assert (tmp_path / ".lora_trainer/captions.jsonl").stat().st_size < size // 2
    assert len(store.undone) == 3
    assert 3 < len(store.done) < 30
    assert store.redo() is not None
    assert store.undo() is not None
    assert snapshot(tmp_path) == state
    assert [change.values["tags"] for change in store.done][-1] == "tag 36"
    while store.undo():
        pass
    assert "tag 5" in store._captions[tmp_path / "a.txt"].text
    store.apply(Add("new"), ALL)
    assert CaptionStore(tmp_path).done[-1].values == {"tags": "new"}
