"""The doctor of a project: findings over restarts, remedies in the one history, what has changed since."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lora_trainer.dataset.checks.findings import Colour, found
from lora_trainer.dataset.checks.remedies import REMEDIES
from lora_trainer.errors import BadDataset, Busy
from lora_trainer.language import LANGUAGES, texts
from lora_trainer.project.doctoring import Doctoring, Shown, Verdict
from lora_trainer.project.findings_file import Found, read_found, write_found
from lora_trainer.project.projects import Projects
from lora_trainer.project.tasks import CANCELLED, DONE, Task, Tasks
from tests.dataset.checks.sets import SIDE, add, scene, sound
from tests.dataset.files import cut

SETTINGS = {"trigger": "myword", "resolution": SIDE}


class Practice:
    """A project with a sound set, and its doctor."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.project = Projects(home / "projects").create("test")
        self.project.change_settings(SETTINGS)
        self.folder = self.project.images_folder
        self.images = sound(self.folder, 12)
        self.tasks = Tasks()
        self.doctoring = Doctoring(self.tasks, home / "cache")

    def check(self) -> Task:
        task = self.doctoring.start(self.project)
        self.tasks.wait(task.id, 120)
        return task

    def verdict(self) -> Verdict:
        return self.doctoring.verdict(self.project)

    def shown(self, key: str) -> list[Shown]:
        return [one for one in self.verdict().findings if one.finding.key == key]

    def keys(self) -> set[str]:
        return {one.finding.key for one in self.verdict().findings}

    def id_of(self, path: Path) -> str:
        entry = self.project.images().of(path)
        assert entry is not None
        return entry.id


@pytest.fixture()
def practice(tmp_path: Path) -> Practice:
    return Practice(tmp_path)


def test_a_sound_set(practice: Practice) -> None:
    assert practice.verdict() == Verdict(checked=False)
    task = practice.check()
    assert (task.state, task.done, task.total) == (DONE, 12, 12)
    assert task.to_dict("en")["message"] == "12 images, nothing to mend."
    assert practice.verdict() == Verdict(checked=True)


def test_findings_outlive_a_restart_and_tell_what_has_changed(practice: Practice) -> None:
    cut(practice.images[0])
    practice.images[1].with_suffix(".txt").write_bytes("größe".encode("latin-1"))
    task = practice.check()
    assert task.result["errors"] == 2 and "2" in task.to_dict("zh")["message"]
    first = practice.verdict()
    again = Projects(practice.project.folder.parent).find(practice.project.id)
    second = Doctoring(Tasks(), practice.home / "cache").verdict(again)
    assert second == first and not second.stale
    assert {one.finding.key: one.images for one in second.findings} == {
        "unreadable": (practice.id_of(practice.images[0]),),
        "caption_encoding": (practice.id_of(practice.images[1]),),
    }
    assert again.findings() == {one.finding.key: list(one.images) for one in second.findings}
    (practice.folder / "more.txt").write_text("a new file", encoding="utf-8")
    assert practice.verdict().stale
    (practice.folder / "more.txt").unlink()
    assert not practice.verdict().stale
    practice.project.change_settings({"resolution": 512})
    assert practice.verdict().stale


def test_a_second_check_measures_only_what_is_new(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    practice.check()
    read: list[str] = []
    from lora_trainer.dataset.checks import measuring

    glance = measuring.glance
    monkeypatch.setattr(measuring, "glance", lambda path, side: (read.append(path.name), glance(path, side))[1])
    add(scene(50), practice.folder / "new.png")
    practice.check()
    assert read == ["new.png"]


def test_a_remedy_is_a_step_of_the_history(practice: Practice) -> None:
    cut(practice.images[0])
    practice.images[1].with_suffix(".txt").write_text("a thing", encoding="utf-8")
    practice.check()
    assert practice.keys() == {"unreadable", "trigger_missing"}
    said = practice.doctoring.fix(practice.project, "unreadable")
    assert said == "Set 1 file aside" and not practice.images[0].exists()
    assert practice.keys() == {"trigger_missing"} and not practice.verdict().stale
    practice.doctoring.fix(practice.project, "trigger_missing")
    assert practice.images[1].with_suffix(".txt").read_text(encoding="utf-8") == "myword, a thing"
    assert practice.verdict() == Verdict(checked=True)
    assert "触发词" in practice.project.history.undo_words.text("zh")
    practice.project.history.undo()
    assert practice.images[1].with_suffix(".txt").read_text(encoding="utf-8") == "a thing"
    practice.project.history.undo()
    assert practice.images[0].exists() and practice.verdict().stale
    practice.project.history.redo()
    assert not practice.images[0].exists()


def test_remedies_and_edits_in_one_history(practice: Practice) -> None:
    from lora_trainer.project.captioning import Captioning

    practice.images[1].with_suffix(".txt").write_text("a thing", encoding="utf-8")
    practice.check()
    practice.doctoring.fix(practice.project, "trigger_missing")
    Captioning(practice.tasks).write(practice.project, practice.images[1], "myword, a tree")
    assert practice.verdict().stale
    practice.project.history.undo()
    assert practice.images[1].with_suffix(".txt").read_text(encoding="utf-8") == "myword, a thing"
    practice.project.history.undo()
    assert practice.images[1].with_suffix(".txt").read_text(encoding="utf-8") == "a thing"


def test_groups_of_the_same_picture(practice: Practice) -> None:
    copies = []
    for number in (0, 0, 1):
        copy = practice.folder / f"copy{len(copies)}.png"
        copy.write_bytes(practice.images[number].read_bytes())
        copies.append(copy)
    practice.check()
    assert [len(one.images) for one in practice.shown("duplicates")] == [3, 2]
    practice.doctoring.fix(practice.project, "duplicates", [practice.id_of(copies[1])])
    left = [image.exists() for image in (practice.images[0], *copies)]
    assert left.count(False) == 1
    assert practice.doctoring.fix(practice.project, "duplicates", None, "zh") == "已移出 2 张重复的图片"
    assert len(list(practice.folder.glob("*.png"))) == 12
    assert practice.shown("duplicates") == []
    for _ in range(2):
        practice.project.history.undo()
    assert len(list(practice.folder.glob("*.png"))) == 15


def test_some_images_of_a_finding(practice: Practice) -> None:
    for number in (0, 1, 2):
        practice.images[number].with_suffix(".txt").unlink()
    practice.check()
    practice.doctoring.fix(practice.project, "caption_missing", [practice.id_of(practice.images[1])])
    assert practice.images[1].with_suffix(".txt").read_text(encoding="utf-8") == "myword"
    (left,) = practice.shown("caption_missing")
    assert left.images == tuple(practice.id_of(practice.images[n]) for n in (0, 2))


def test_what_was_mended_meanwhile_is_not_mended_again(practice: Practice) -> None:
    practice.images[0].with_suffix(".txt").unlink()
    practice.check()
    practice.images[0].with_suffix(".txt").write_text("myword, mine", encoding="utf-8")
    for key in ("caption_missing", "duplicates", "nonsense"):
        with pytest.raises(BadDataset) as caught:
            practice.doctoring.fix(practice.project, key)
        assert caught.value.key == "finding_gone"
    assert practice.images[0].with_suffix(".txt").read_text(encoding="utf-8") == "myword, mine"
    assert practice.project.history.undo_words is None


def test_a_remedy_that_has_nothing_to_write(practice: Practice) -> None:
    practice.project.change_settings({"trigger": None})
    practice.images[0].with_suffix(".txt").unlink()
    practice.check()
    with pytest.raises(BadDataset) as caught:
        practice.doctoring.fix(practice.project, "caption_missing")
    assert caught.value.key == "finding_unmended"


def test_images_that_are_gone_leave_the_findings(practice: Practice) -> None:
    for number in (0, 1):
        practice.images[number].with_suffix(".txt").unlink()
    practice.check()
    practice.images[0].unlink()
    (left,) = practice.shown("caption_missing")
    assert left.images == (practice.id_of(practice.images[1]),) and "1 " in left.finding.what("en")
    practice.images[1].unlink()
    assert practice.shown("caption_missing") == []


def test_what_is_no_image_has_a_name(practice: Practice) -> None:
    (practice.folder / "nowhere.png").symlink_to(practice.folder / "gone.png")
    sound(practice.folder / "others", 2, 40)
    practice.check()
    assert practice.shown("broken_link")[0].names == ("nowhere.png",)
    assert practice.shown("folder_ignored")[0].names == ("others",)
    practice.doctoring.fix(practice.project, "folder_ignored")
    assert len(practice.project.images().entries) == 14


def test_it_can_be_stopped(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    from lora_trainer.dataset.checks import measuring

    began, go, glance = threading.Event(), threading.Event(), measuring.glance

    def slow(path: Path, side: int) -> object:
        began.set()
        assert go.wait(30)
        return glance(path, side)

    monkeypatch.setattr(measuring, "glance", slow)
    task = practice.doctoring.start(practice.project)
    assert began.wait(30)
    with pytest.raises(Busy):
        practice.doctoring.fix(practice.project, "unreadable")
    practice.tasks.cancel(task.id)
    go.set()
    practice.tasks.wait(task.id, 30)
    assert task.state == CANCELLED and not practice.verdict().checked


def test_before_there_are_images(tmp_path: Path) -> None:
    empty = Projects(tmp_path / "projects").create("empty")
    with pytest.raises(BadDataset) as caught:
        Doctoring(Tasks(), tmp_path / "cache").start(empty)
    assert caught.value.key == "nothing_to_check"


def test_an_objects_goal_and_every_remedy_have_their_words(practice: Practice) -> None:
    practice.project.change({"goal": "object"})
    assert practice.check().state == DONE
    for language in LANGUAGES:
        assert {f"mended.{name}" for name in REMEDIES} <= texts(language).keys()


def test_values_of_findings_are_kept(tmp_path: Path) -> None:
    error = BadDataset("folder_missing", field="images", folder=tmp_path)
    kinds = (
        found("refused", error=error),
        found("transparent", [tmp_path / "a.png"], background=Colour("white")),
        found("no_images", folder=tmp_path),
        found("too_few", total=3, fewest=10),
    )
    write_found(tmp_path, Found("x", "mark", kinds))
    again = read_found(tmp_path)
    assert again is not None
    for before, after in zip(kinds, again.findings, strict=True):
        for language in LANGUAGES:
            assert after.what(language) == before.what(language) and after.why(language) == before.why(language)
    (tmp_path / "doctor.json").write_text('{"folder": "x", "mark": "", "findings": [{"key": "new"}]}', encoding="utf-8")
    assert read_found(tmp_path) is None
