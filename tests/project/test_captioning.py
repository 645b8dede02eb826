"""Edits of captions through a project: previews, one history, what cannot be, and a thousand at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from lora_trainer.errors import BadDataset, BadSettings, Busy, Unknown, UserError
from lora_trainer.project.captioning import Captioning
from lora_trainer.project.project import Project
from lora_trainer.project.projects import Projects
from lora_trainer.project.tasks import TaskControl, Tasks
from tests.dataset.files import save, says

CAPTIONS = ("mychr, hat, 1girl", "mychr, hat, smile", "mychr, 1girl", None)


@pytest.fixture()
def project(tmp_path: Path) -> Project:
    """A project with four images, one of them untagged."""
    found = Projects(tmp_path / "projects").create("test")
    for number, text in enumerate(CAPTIONS):
        save(found.images_folder / f"{number}.png", 40 + number, 30, text)
    return found


@pytest.fixture()
def captioning() -> Captioning:
    return Captioning(Tasks())


def text(project: Project, name: str) -> str:
    return (project.images_folder / f"{name}.txt").read_text(encoding="utf-8").strip()


def edited(captioning: Captioning, project: Project, operation: dict[str, Any], **selection: Any) -> int:
    body = {"operation": operation, "selection": selection}
    return captioning.apply(project, captioning.edit(project, body)).images


def test_tags_and_the_untagged(captioning: Captioning, project: Project) -> None:
    found = captioning.tags(project)
    assert (found.untagged, found.total) == (1, 4)
    assert [(row.tag, row.images) for row in found.rows] == [("mychr", 3), ("1girl", 2), ("hat", 2), ("smile", 1)]
    found = captioning.tags(project, "hat and not smile", "GIR", 5)
    assert (found.untagged, [(row.tag, row.images) for row in found.rows]) == (0, [("1girl", 1)])
    assert [row.tag for row in captioning.tags(project, limit=1).rows] == ["mychr"]
    with pytest.raises(BadSettings):
        captioning.tags(project, "hat and")


def test_a_project_without_images(captioning: Captioning, tmp_path: Path) -> None:
    empty = Projects(tmp_path / "projects").create("empty")
    assert captioning.tags(empty).rows == () and captioning.bindings(empty) == []
    assert edited(captioning, empty, {"kind": "sort"}) == 0
    with pytest.raises(BadSettings):
        captioning.tags(empty, "(")


def test_a_preview_says_what_an_edit_does(captioning: Captioning, project: Project) -> None:
    edit = captioning.edit(project, {"operation": {"kind": "remove", "words": ["hat"]}})
    preview = captioning.preview(project, edit)
    assert (preview.images, preview.selected) == (2, 4)
    assert (preview.samples[0].before, preview.samples[0].after) == (CAPTIONS[0], "mychr, 1girl")
    assert text(project, "0") == CAPTIONS[0]
    assert captioning.apply(project, edit).images == 2
    assert text(project, "1") == "mychr, smile"


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        ({"kind": "add", "words": "solo"}, "solo, mychr, hat, smile"),
        ({"kind": "add", "words": "solo", "at": None}, "mychr, hat, smile, solo"),
        ({"kind": "remove", "words": "hat, smile"}, "mychr"),
        ({"kind": "replace", "old": "hat", "new": "cap, red"}, "mychr, cap, red, smile"),
        ({"kind": "replace", "old": "mi", "new": "ma", "inside": True}, "mychr, hat, smale"),
        ({"kind": "pattern", "pattern": "^(h)(at)$", "new": r"\2\1"}, "mychr, ath, smile"),
        ({"kind": "sort"}, "hat, mychr, smile"),
    ],
)
def test_operations_as_json_has_them(
    captioning: Captioning, project: Project, operation: dict[str, Any], wanted: str
) -> None:
    ids = [project.images().entries[1].id]
    assert edited(captioning, project, operation, scope="selected", images=ids) == 1
    assert text(project, "1") == wanted and text(project, "0") == CAPTIONS[0]


def test_the_trigger_keeps_its_place(captioning: Captioning, project: Project) -> None:
    project.change_settings({"trigger": "mychr"})
    edited(captioning, project, {"kind": "add", "words": "solo"}, scope="filtered", filter="smile")
    assert text(project, "1") == "mychr, solo, hat, smile"
    assert edited(captioning, project, {"kind": "remove", "words": ["mychr"]}) == 3  # but may be named
    assert [one.tag for one in captioning.bindings(project)] == []


def test_bindings_leave_the_trigger_out(captioning: Captioning, project: Project) -> None:
    (project.images_folder / "3.txt").write_text("mychr, hat, blue hair", encoding="utf-8")
    (project.images_folder / "2.txt").write_text("mychr, HAT, blue hair", encoding="utf-8")
    project.change_settings({"trigger": "mychr"})
    (found,) = captioning.bindings(project)
    assert (found.tag, found.images, found.share) == ("hat", 4, 1.0)
    assert "mychr" in found.text("en") and "mychr" in found.text("zh")


def test_one_history(captioning: Captioning, project: Project) -> None:
    edited(captioning, project, {"kind": "remove", "words": ["hat"]})
    captioning.write(project, project.images_folder / "3.png", "tree,  sky")
    assert text(project, "3") == "tree, sky"
    assert edited(captioning, project, {"kind": "remove", "words": ["nothing"]}) == 0  # no step
    project.history.undo()
    assert not (project.images_folder / "3.txt").exists()
    project.history.undo()
    assert text(project, "0") == CAPTIONS[0]
    assert project.history.undo_words is None
    project.history.redo()
    assert text(project, "0") == "mychr, 1girl"


def test_a_file_changed_meanwhile_is_seen(captioning: Captioning, project: Project) -> None:
    captioning.tags(project)
    (project.images_folder / "0.txt").write_text("other, longer than before", encoding="utf-8")
    assert "other" in [row.tag for row in captioning.tags(project).rows]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "setting_choice"),
        ({"operation": {"kind": "explode"}}, "setting_choice"),
        ({"operation": []}, "setting_type"),
        ({"operation": {"kind": "add", "words": 3}}, "setting_type"),
        ({"operation": {"kind": "add", "words": "a", "at": 0.5}}, "setting_type"),
        ({"operation": {"kind": "add", "words": "a" * 20_000}}, "text_long"),
        ({"operation": {"kind": "add", "words": "a\ud800"}}, "text_broken"),
        ({"operation": {"kind": "remove", "words": [1]}}, "setting_type"),
        ({"operation": {"kind": "sort"}, "selection": {"scope": "some"}}, "setting_choice"),
        ({"operation": {"kind": "sort"}, "selection": {"scope": "selected", "images": ["0" * 16]}}, "image_unknown"),
        ({"operation": {"kind": "pattern", "pattern": "(", "new": ""}}, "pattern_malformed"),
        ({"operation": {"kind": "sort"}, "selection": {"scope": "filtered", "filter": "a b)"}}, "filter_unopened"),
    ],
)
def test_bad_orders_are_one_sentence(captioning: Captioning, project: Project, body: dict[str, Any], key: str) -> None:
    with pytest.raises((BadSettings, Unknown)) as caught:
        captioning.preview(project, captioning.edit(project, body))
    assert caught.value.key == key and says(caught.value)


def test_a_pattern_that_never_ends(captioning: Captioning, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_trainer.captions.patterns.LIMIT_S", 1.0)
    (project.images_folder / "0.txt").write_text("a" * 40 + "b", encoding="utf-8")
    with pytest.raises(BadSettings) as caught:
        edited(captioning, project, {"kind": "pattern", "pattern": "(a+)+$", "new": ""})
    assert caught.value.key == "pattern_slow"
    assert text(project, "0") == "a" * 40 + "b" and project.history.undo_words is None


def test_captions_that_cannot_be(captioning: Captioning, project: Project) -> None:
    image = project.images_folder / "0.png"
    with pytest.raises(BadSettings) as long:
        captioning.write(project, image, "a" * 2_000_000)
    assert says(long.value, "2000") and text(project, "0") == CAPTIONS[0]
    (project.images_folder / "1.txt").write_bytes("größe".encode("latin-1"))
    (project.images_folder / "2.txt").write_bytes(b"x" * 2_000_000)
    keys = {one.error.key for one in captioning.tags(project).unread}
    assert keys == {"caption_encoding", "caption_too_large"}
    for number in (1, 2):
        with pytest.raises(BadDataset):
            captioning.write(project, project.images_folder / f"{number}.png", "mine")
    assert edited(captioning, project, {"kind": "add", "words": "solo"}) == 2  # the others are edited


def test_nothing_is_edited_while_a_task_changes_captions(project: Project) -> None:
    tasks = Tasks()
    captioning = Captioning(tasks)

    def work(control: TaskControl) -> dict[str, Any]:
        while not control.stop():
            time.sleep(0.01)
        return {}

    for kind, refused in (("tag", True), ("check", False)):
        task = tasks.start(project, kind, work)
        try:
            captioning.write(project, project.images_folder / "0.png", kind)
            assert not refused
        except Busy:
            assert refused
        tasks.cancel(task.id)
        tasks.wait(task.id, 20)
    assert text(project, "0") == "check"


def test_a_thousand_captions_in_a_second(captioning: Captioning, tmp_path: Path) -> None:
    """Processor time is measured: other work on the machine must not fail the test."""
    project = Projects(tmp_path / "projects").create("many")
    folder = project.images_folder
    folder.mkdir(parents=True)
    for number in range(1000):
        (folder / f"{number:04}.png").write_bytes(b"")
        (folder / f"{number:04}.txt").write_text(f"hat, tag {number}, sky", encoding="utf-8")
    captioning.tags(project)  # the page has been open
    seconds = []
    for old, new in (("hat", "cap"), ("cap", "hat"), ("hat", "bonnet")):
        started = time.process_time()
        assert edited(captioning, project, {"kind": "replace", "old": old, "new": new}) == 1000
        seconds.append(time.process_time() - started)
    assert min(seconds) < 1
    assert text(project, "0999") == "bonnet, tag 999, sky"
    assert isinstance(project.history.undo(), str)
    assert text(project, "0999") == "hat, tag 999, sky"


def test_every_error_is_a_sentence() -> None:
    for key in ("text_long", "text_broken", "caption_long"):
        error = UserError(key, name="x", most=1, size=2)
        assert error.text("en") != error.text("zh")
