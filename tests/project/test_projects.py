"""Projects as folders: what is kept, what is refused, and that damage is survived."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from lora_trainer.errors import BadDataset, BadSettings, Unknown, UserError
from lora_trainer.project.projects import Projects
from tests.dataset.files import save, says
from tests.project.sets import filled, new_project


@pytest.fixture()
def projects(tmp_path: Path) -> Projects:
    return Projects(tmp_path / "我的 projects")


def test_making_finding_and_deleting(projects: Projects) -> None:
    assert projects.list() == []
    made = projects.create("  My \n cat ", "object")
    assert (made.name, made.read()["goal"], made.settings) == ("My cat", "object", {})
    assert projects.find(made.id) is made and projects.list() == [made]
    gone = projects.delete(made.id)
    assert (gone / "project.json").is_file() and projects.list() == []
    with pytest.raises(Unknown) as caught:
        projects.find(made.id)
    assert caught.value.key == "project_unknown"


def test_names_that_nobody_gave_differ(projects: Projects) -> None:
    assert [projects.create().name for _ in range(3)] == ["project 1", "project 2", "project 3"]


@pytest.mark.parametrize("name", ["\u200b\n", "x" * 101])
def test_names_that_cannot_be(projects: Projects, name: str) -> None:
    with pytest.raises(BadSettings) as caught:
        projects.create(name)
    assert caught.value.field == "name" and says(caught.value, "100")


@pytest.mark.parametrize("project_id", ["..", "../..", "trash", "", "project.json", "a/b"])
def test_ids_are_not_paths(projects: Projects, project_id: str) -> None:
    projects.delete(projects.create("a").id)
    with pytest.raises(Unknown):
        projects.find(project_id)


def test_the_last_used_comes_first(projects: Projects) -> None:
    first, second = projects.create("first"), projects.create("second")
    for one, age in ((first, 10), (second, 20)):
        os.utime(one.folder / "project.json", (time.time() - age,) * 2)
    assert [one.name for one in projects.list()] == ["first", "second"]
    second.change({"name": "second again"})
    assert projects.list()[0].name == "second again"


def test_settings_are_checked_and_flat(projects: Projects) -> None:
    project = projects.create("a")
    project.change_settings({"epochs": 4, "unet_lr": 1, "grid_weights": [0.5, 1.0]})
    assert project.settings == {"epochs": 4, "unet_lr": 1, "grid_weights": [0.5, 1.0]}
    project.change_settings({"epochs": None})
    assert "epochs" not in project.settings
    assert project.effective({"epochs": 7, "unet_lr": 2.0}).training.epochs == 7
    assert project.effective({"unet_lr": 2.0}).optimizer.unet_lr == 1.0
    for values, field in (({"epochs": 0}, "epochs"), ({"epoch": None}, "epoch"), ({"images": "/x"}, "images")):
        with pytest.raises(BadSettings) as caught:
            project.change_settings({**values, "batch_size": 2})
        assert caught.value.field == field
    assert "batch_size" not in project.settings


@pytest.mark.parametrize("values", [{"goal": "cats"}, {"in_place": 1}, {"id": "x"}, {"settings": {}}, {"runs": "a"}])
def test_values_that_cannot_be(projects: Projects, values: dict[str, Any]) -> None:
    project = projects.create("a")
    with pytest.raises(BadSettings):
        project.change(values)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": 3, "settings": null, "runs": {}}', b"\xff\xfe"])
def test_a_damaged_file_is_survived(projects: Projects, content: bytes) -> None:
    project = projects.create("a")
    (project.folder / "project.json").write_bytes(content)
    values = projects.find(project.id).read()
    assert values["settings"] == {} and values["runs"] == [] and values["name"] == project.id
    project.change({"name": "mended"})
    assert json.loads((project.folder / "project.json").read_text(encoding="utf-8"))["name"] == "mended"


def test_where_nothing_can_be_written(projects: Projects, monkeypatch: pytest.MonkeyPatch) -> None:
    project = projects.create("a")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lora_trainer.project.project.write_whole", full)
    monkeypatch.setattr("lora_trainer.project.projects.write_whole", full)
    for act in (lambda: project.change({"name": "b"}), lambda: projects.create("c")):
        with pytest.raises(UserError) as caught:
            act()
        assert caught.value.key == "project_unwritable" and says(caught.value, "No space left")
    assert project.name == "a"


def test_images_are_listed_anew_when_they_change(tmp_path: Path) -> None:
    project = filled(tmp_path, 3)
    first = project.images()
    assert [entry.name for entry in first.entries] == ["image 0.png", "image 1.png", "5_side/image 2.png"]
    assert [entry.repeats for entry in first.entries] == [0, 0, 5]
    assert project.images() is first
    save(project.images_folder / "5_side" / "another.png")
    assert len(project.images().entries) == 4
    (project.images_folder / "3_empty").mkdir()
    assert len(project.images().entries) == 4
    save(project.images_folder / "3_empty" / "first.png")
    assert len(project.images().entries) == 5


def test_ids_of_images_are_of_their_names(tmp_path: Path) -> None:
    import hashlib

    project = filled(tmp_path, 3)
    entry = project.images().entries[2]
    assert entry.id == hashlib.sha256(b"5_side/image 2.png").hexdigest()[:16]
    assert project.images().get(entry.id).path == project.images_folder / "5_side" / "image 2.png"
    with pytest.raises(Unknown):
        project.images().get("0" * 16)


def test_captions_are_read_anew_when_another_program_writes(tmp_path: Path) -> None:
    project = filled(tmp_path, 2)
    store = project.captions()
    assert store is not None and store.captions[0].text == "mychr, hat, number 0"
    (project.images_folder / "image 0.txt").write_text("something else", encoding="utf-8")
    again = project.captions()
    assert again is store and store.captions[0].text == "something else"
    project.change_settings({"caption_extension": ".caption"})
    with pytest.raises(BadDataset):
        project.captions()


def test_without_images_there_is_nothing_to_read(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    assert project.images().entries == () and project.captions() is None and project.findings() == {}


def test_a_folder_in_place_that_is_gone(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.change({"images": str(tmp_path / "gone"), "in_place": True})
    with pytest.raises(BadDataset) as caught:
        project.images()
    assert caught.value.key == "folder_missing"


def test_findings_are_kept_by_id(tmp_path: Path) -> None:
    project = filled(tmp_path, 3)
    entries = project.images().entries
    project.note_findings({"blurred": [entries[2].path], "few": [], "away": [tmp_path / "elsewhere.png"]})
    assert project.findings() == {"blurred": [entries[2].id], "few": [], "away": []}
