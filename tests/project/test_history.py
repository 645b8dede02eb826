"""One undo and redo over everything: any sequence of changes, taken back, gives the original files byte for byte."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_trainer.captions.operations import Add, Remove, Sort
from lora_trainer.captions.selection import Everything
from lora_trainer.captions.store import CaptionStore
from lora_trainer.dataset.checks import actions
from lora_trainer.dataset.checks.actions import Move, Write
from lora_trainer.dataset.repeats import set_repeats as set_lines
from lora_trainer.errors import BadDataset, BadSettings, UserError
from lora_trainer.project.changes import noting
from lora_trainer.project.enlarging import cropping, deriving
from lora_trainer.project.importing import importing, remove, remove_all_derived, using_in_place
from lora_trainer.project.project import Project
from lora_trainer.project.projects import Projects
from lora_trainer.project.repeating import set_repeats
from tests.dataset.files import save
from tests.project.sets import at_once, files_of, filled, new_project, offered

Change = Callable[[Project, Path, random.Random], None]


def edit(project: Project, home: Path, chance: random.Random) -> None:
    store = project.captions()
    if store is None:
        return
    operation = chance.choice(
        [Add(f"hat, tag {chance.randint(0, 9)}"), Remove(("hat",)), Sort(), Remove((f"tag {chance.randint(0, 9)}",))]
    )
    with project.turn:
        store.apply(operation, Everything())
        project.history.captions_edited()


def mend(project: Project, home: Path, chance: random.Random) -> None:
    entries = project.images().entries
    if not entries:
        return
    image = chance.choice(entries).path
    text, folder = image.with_suffix(".txt"), project.images_folder
    before = text.read_bytes() if text.is_file() else None
    step = Write(text, before, f"mended {chance.random()}".encode())
    with project.turn:
        actions.record(folder, (step,))
        project.history.action_recorded("history.mended_elsewhere")


def take_out(project: Project, home: Path, chance: random.Random) -> None:
    entries = project.images().entries
    if entries:
        remove(project, chance.sample(list(entries), chance.randint(1, min(2, len(entries)))))


def bring_in(project: Project, home: Path, chance: random.Random) -> None:
    at_once(importing(project, [offered(home / "offered", chance)]))


def again(project: Project, home: Path, chance: random.Random) -> None:
    """Import images that are there already, with captions that they may lack."""
    place = home / "again" / f"{chance.getrandbits(48):x}"
    for entry in project.images().entries[:2]:
        target = place / entry.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(entry.path.read_bytes())
        target.with_suffix(".txt").write_text("given later", encoding="utf-8")
    if place.is_dir():
        at_once(importing(project, [place]))


def crop(project: Project, home: Path, chance: random.Random) -> None:
    if project.images().entries:
        side = chance.choice([16, 24, 32])
        with_side = {"images": "all", "by": "centre", "width": 64, "height": 64 * side // 16}
        at_once(cropping(project, with_side, ()))


def mirror(project: Project, home: Path, chance: random.Random) -> None:
    entries = project.images().entries
    if entries:
        at_once(deriving(project, {"kind": "mirror", "images": [chance.choice(entries).id]}, ()))


def unmirror(project: Project, home: Path, chance: random.Random) -> None:
    remove_all_derived(project, chance.choice(["mirror", "all"]))


def number(project: Project, home: Path, chance: random.Random) -> None:
    index = project.images()
    if index.entries and chance.random() < 0.6:
        set_repeats(project, {"image": chance.choice(index.entries).id, "repeats": chance.choice([None, 2, 7])})
    elif index.inner:
        set_repeats(project, {"folder": chance.choice(index.inner).name, "repeats": chance.randint(1, 30)})


CHANGES: tuple[Change, ...] = (edit, edit, mend, take_out, bring_in, again, crop, mirror, unmirror, number)


@pytest.mark.parametrize("seed", range(16))
def test_any_changes_taken_back_and_made_again(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    project = filled(tmp_path, chance.randint(1, 5))
    states, place = [files_of(project)], 0
    for _ in range(14):
        if chance.random() < 0.3:  # walk a little in between
            way = chance.choice(["undo", "redo"])
            place = step(project, way, states, place)
            continue
        steps = len(project.history._record.done)
        change = chance.choice(CHANGES)
        try:
            change(project, tmp_path, chance)
        except BadDataset as error:  # such as a folder of that name being there already
            assert error.key == "remedy_failed"
        if chance.random() < 0.2:  # another process goes on
            project = Projects(tmp_path / "projects").find(project.id)
        if project.history.next_words() and len(project.history._record.done) > steps:
            states, place = [*states[: place + 1], files_of(project)], place + 1
        else:
            assert files_of(project) == states[place], change
    assert place == len(project.history._record.done)
    while place:
        place = step(project, "undo", states, place)
    while place < len(states) - 1:
        place = step(project, "redo", states, place)
    while place:
        place = step(project, "undo", states, place)


def step(project: Project, way: str, states: list[dict[str, bytes]], place: int) -> int:
    """Undo or redo once, if there is something: the files are those of the state before or after."""
    after = place + (1 if way == "redo" else -1)
    if not 0 <= after < len(states):
        with pytest.raises(BadSettings):
            getattr(project.history, way)()
        return place
    told = project.history.undo_words if way == "undo" else project.history.redo_words
    assert told is not None and told.text("zh") in getattr(project.history, way)("zh")
    now = files_of(project)
    assert {name: now.get(name) for name in {*now, *states[after]}} == {
        name: states[after].get(name) for name in {*now, *states[after]}
    }
    return after


def test_edits_of_another_program_join_the_history(tmp_path: Path) -> None:
    project = filled(tmp_path)
    before = files_of(project)
    other = CaptionStore(project.images_folder)
    other.apply(Add("from the command line"), Everything())
    text = project.images_folder / "image 1.txt"
    actions.record(project.images_folder, (Write(text, text.read_bytes(), b"mended"),))
    take_out(project, tmp_path, random.Random(3))
    assert len(project.history._record.done) == 3
    for _ in range(3):
        project.history.undo()
    assert files_of(project) == before and project.history.undo_words is None


def test_what_another_program_took_back_is_not_taken_back_twice(tmp_path: Path) -> None:
    project = filled(tmp_path)
    CaptionStore(project.images_folder).apply(Add("new"), Everything())
    mend(project, tmp_path, random.Random(0))
    actions.take_back(project.images_folder)
    CaptionStore(project.images_folder).undo()
    assert project.history.undo_words is None
    assert project.history.redo_words is not None  # the caption journal can make it again
    project.history.redo()
    assert project.history.undo_words is not None


def test_a_folder_used_in_place_is_left_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    save(folder / "a.png", caption="old")
    CaptionStore(folder).apply(Add("edited before"), Everything())
    before = (folder / "a.txt").read_bytes()
    project = new_project(tmp_path)
    at_once(using_in_place(project, folder))
    assert project.images_folder == folder and len(project.images().entries) == 1
    words = project.history.undo_words
    assert words is not None and "mine" in words.text()  # older edits are not this project's
    CaptionStore(folder).apply(Add("edited after"), Everything())
    project.history.undo()
    project.history.undo()
    assert (folder / "a.txt").read_bytes() == before
    assert project.images_folder == project.folder / "images" and not project.images().entries
    project.history.redo()
    assert project.images_folder == folder
    project.history.redo()
    assert (folder / "a.txt").read_bytes() != before


def test_files_in_the_way_are_told_and_kept(tmp_path: Path) -> None:
    project = filled(tmp_path, 2)
    entry = project.images().entries[0]
    remove(project, [entry])
    entry.path.write_bytes(b"another")
    said = project.history.undo()
    assert "another file lies there" in said and entry.path.read_bytes() == b"another"


def test_a_damaged_history_loses_no_more_than_its_lines(tmp_path: Path) -> None:
    project = filled(tmp_path, 2)
    take_out(project, tmp_path, random.Random(0))
    with (project.folder / "history.jsonl").open("ab") as file:
        file.write(b'{"do": 9, "kind": 1}\nnot JSON\n{"undo": 77, "data": {}}\n{"torn')
    again_opened = Projects(tmp_path / "projects").find(project.id)
    assert again_opened.history.undo_words is not None
    mend(again_opened, tmp_path, random.Random(0))
    again_opened.history.undo()
    assert again_opened.history.redo_words is not None


def test_a_step_that_cannot_be_made_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = filled(tmp_path)
    take_out(project, tmp_path, random.Random(0))
    after = files_of(project)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError) as caught:
        project.history.undo()
    monkeypatch.undo()
    assert caught.value.key == "set_disk_full"
    assert files_of(project) == after and project.history.undo_words is not None
    project.history.undo()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_program_that_ended_in_the_middle_of_an_import(tmp_path: Path, damaged: bool) -> None:
    project = filled(tmp_path, 2)
    before = files_of(project)
    broken_off = noting(project, "history.imported")
    broken_off.__enter__()
    save(project.images_folder / "4_new" / "new.png", caption="new")
    set_lines(project.images_folder, {"image 0.png": 3})
    assert project.history.undo_words is None  # it goes on
    if damaged:
        (project.folder / "pending.json").write_bytes(b"{")
    started_anew = Projects(tmp_path / "projects").find(project.id)
    words = started_anew.history.undo_words
    assert not (project.folder / "pending.json").exists()
    if damaged:
        assert words is None
        return
    assert words is not None and words.text() == "images imported (1)"
    started_anew.history.undo()
    assert files_of(started_anew) == before
    started_anew.history.redo()
    assert len(started_anew.images().entries) == 3


def test_the_folder_may_be_gone(tmp_path: Path) -> None:
    project = filled(tmp_path)
    take_out(project, tmp_path, random.Random(0))
    project.images_folder.rename(tmp_path / "elsewhere")
    assert project.history.undo_words is not None
    with pytest.raises(BadDataset, match="no folder"):
        project.history.undo()


def test_a_move_of_the_doctor_can_be_made_again(tmp_path: Path) -> None:
    project = filled(tmp_path, 1)
    before = files_of(project)
    image = project.images().entries[0].path
    actions.record(project.images_folder, (Move(image, project.images_folder / "5_x" / image.name),))
    project.history.action_recorded("history.mended_elsewhere")
    after = files_of(project)
    for _ in range(2):
        project.history.undo()
        assert files_of(project) == before
        project.history.redo()
        assert files_of(project) == after
