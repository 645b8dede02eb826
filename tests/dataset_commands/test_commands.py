"""The command line on folders of images: what comes, goes, is made, tagged, edited; and all of it taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lora_trainer.__main__ import main
from lora_trainer.dataset_commands import COMMANDS
from lora_trainer.tagging.models import WD14
from tests.dataset.checks.sets import scene, sound
from tests.tagging.onnx_models import CHARACTERS, RATINGS, TAGS, weights, write_model, write_tags
from tests.texts import same_in_both

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the set; what it prints as JSON, with its ``status`` and all that it said."""

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))  # nothing of this computer's

    def runs(name: str, *options: str, folder: Path | None = tmp_path / "set") -> dict[str, Any]:
        place = [] if folder is None else [str(folder)]
        common = ["--language", "en", "--json", "--home", str(tmp_path / "home")]
        status = main(["dataset", name, *place, *options, *common])
        printed = capsys.readouterr()
        *lines, last = printed.out.splitlines()
        return {**json.loads(last), "status": status, "said": lines, "complaint": printed.err}

    return runs


def content(folder: Path) -> dict[str, bytes]:
    """The files that count, by their names."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".lora_trainer" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_every_command_has_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as stopped:
            main(["dataset", command.name, "--help"])
        assert stopped.value.code == 0
        assert ("folder of images" in capsys.readouterr().out) == command.folder.startswith("folder of images")


def test_texts_are_in_both_languages() -> None:
    same_in_both("dataset_commands")


def test_importing_and_taking_it_back(tmp_path: Path, run: Run) -> None:
    paths = sound(tmp_path / "source", 3)
    (tmp_path / "source" / "notes.doc").write_text("x", encoding="utf-8")
    (tmp_path / "source" / "broken.png").write_bytes(b"")
    found = run("import", str(tmp_path / "source"))
    assert (found["status"], found["images"], found["known"]) == (0, 3, 0)
    assert len(found["notes"]) == 2 and all(note in found["said"] for note in found["notes"])
    first = content(tmp_path / "set")
    assert {paths[0].name, "sound000.txt"} <= set(first)
    again = run("import", str(tmp_path / "source"))
    assert (again["images"], again["known"]) == (0, 3)
    assert run("import")["images"] == 3  # as it lies
    assert run("import", str(tmp_path / "nowhere"))["status"] == 1
    assert run("undo")["redo"]
    assert content(tmp_path / "set") == {}
    assert run("redo")["status"] == 0
    assert content(tmp_path / "set") == first


def test_derived_images_and_one_list_of_steps(tmp_path: Path, run: Run) -> None:
    """Crops, mirror images, edits and remedies are undone in the order in which they were done."""
    folder = tmp_path / "set"
    sound(folder, 6)
    scene(50, 900, 300).save(folder / "long.png")
    (folder / "empty.png").write_bytes(b"")
    states = [content(folder)]
    steps: list[tuple[str, list[str]]] = [
        ("fix", ["empty_file"]),
        ("mirror", ["--images", "sound00[01].png"]),
        ("edit", ["--add", "new tag", "--at", "end"]),
        ("split", []),
        ("crop", ["--by", "centre", "--width", "128", "--height", "128", "--images", "sound002.png"]),
        ("repeats", ["7", "--image", "sound003.png"]),
        ("remove", ["--images", "sound000.png"]),
        ("remove-derived", ["--kind", "split"]),
        ("caption", ["sound004.png", "myword, another"]),
    ]
    for name, options in steps:
        found = run(name, *options)
        assert found["status"] == 0, (name, found)
        states.append(content(folder))
        assert states[-1] != states[-2], name
    assert "sound000_mirror.png" not in states[-2]  # gone with its parent
    for before in reversed(states[:-1]):
        assert run("undo")["status"] == 0
        assert content(folder) == before
    assert run("history")["undo"] == ""
    for after in states[1:]:
        assert run("redo")["status"] == 0
        assert content(folder) == after
    assert run("history")["redo"] == ""


def test_edits_say_before_what_they_change(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "set"
    for number, path in enumerate(sound(folder, 5)):
        path.with_suffix(".txt").write_text("myword, hat" if number < 3 else "myword, cap", encoding="utf-8")
    before = content(folder)
    shown = run("edit", "--replace", "hat", "helmet", "--dry-run")
    assert (shown["changes"], shown["of"], shown["applied"]) == (3, 5, False)
    assert shown["samples"][0] == {"image": "sound000.png", "before": "myword, hat", "after": "myword, helmet"}
    assert content(folder) == before
    done = run("edit", "--pattern", "h(.)t", r"\1x", "--filter", "hat", "--trigger", "myword")
    assert (done["changes"], done["of"], done["applied"]) == (3, 3, True)
    assert (folder / "sound000.txt").read_text(encoding="utf-8").strip() == "myword, ax"
    assert run("edit", "--remove", "myword", "--trigger", "myword")["changes"] == 0  # it is kept
    assert run("edit", "--add", "a", "--filter", "(")["complaint"]
    assert run("edit", "--add", "a", "--images", "nothing*")["error"] == "image_unmatched"


def test_tags_and_what_to_bind(tmp_path: Path, run: Run) -> None:
    for number, path in enumerate(sound(tmp_path / "set", 5)):
        path.with_suffix(".txt").write_text("myword, hat" if number else "", encoding="utf-8")
    found = run("tags")
    assert found["untagged"] == 1 and {"tag": "hat", "count": 4} in found["tags"]
    proposed = run("bind", "--trigger", "myword")["bindings"]
    assert [(one["tag"], one["count"]) for one in proposed] == [("hat", 4)]
    assert run("bind", "--trigger", "myword", "--remove", "hat")["changes"] == 4
    assert run("tags", "--search", "ha")["tags"] == []
    assert run("caption", "sound001.png")["caption"] == "myword"


def test_tagging_with_a_model_that_is_there(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("onnxruntime")
    folder, model = tmp_path / "set", WD14[0]
    sound(folder, 3)
    (folder / "sound002.txt").unlink()
    assert run("tag", "--models", str(tmp_path / "models"))["error"] == "tagger_needs_download"
    place = tmp_path / "models" / f"models--{model.repo.replace('/', '--')}" / "snapshots" / "another"
    write_tags(place / "selected_tags.csv")
    write_model(place / "model.onnx", weights(64, len(RATINGS + TAGS + CHARACTERS)), 64)
    options = ["--models", str(tmp_path / "models"), "--threshold", "0", "--limit", "2"]
    found = run("taggers", "--models", str(tmp_path / "models"), folder=None)["taggers"]
    assert [one["name"] for one in found if one["present"]] == [model.name]
    shown = run("tag", *options, "--dry-run")
    assert [Path(one["image"]).name for one in shown["images"]] == ["sound002.png"]
    assert not (folder / "sound002.txt").exists()
    done = run("tag", *options)
    assert (done["status"], done["tagged"], done["changed"]) == (0, 1, 1)
    assert (folder / "sound002.txt").read_text(encoding="utf-8").strip() == shown["images"][0]["caption"]
    assert run("undo")["status"] == 0
    assert not (folder / "sound002.txt").exists()


def test_regularisation_images_are_drawn_and_gone_on_with(tmp_path: Path, run: Run) -> None:
    size = ["--sample-width", "64", "--sample-height", "64", "--sample-steps", "1"]
    first = run("regularise", "--prompt", "red cat", "--count", "1", "--words", "cat", *size)
    assert (first["images"], first["known"]) == (1, 0)
    again = run("regularise", "--prompt", "red cat", "--count", "2", "--words", "cat", *size)
    assert (again["images"], again["known"]) == (1, 1)
    pictures = sorted((tmp_path / "set" / "1_cat").glob("*.png"))
    assert len(pictures) == 2
    with Image.open(pictures[0]) as picture:
        assert picture.size == (64, 64)
    missing = run("draft", "--lora", str(tmp_path / "gone.safetensors"), "--prompt", "a", "--count", "1", *size)
    assert missing["status"] == 1


def test_a_project_has_the_same_steps_here_and_there(tmp_path: Path, run: Run) -> None:
    from lora_trainer.project.projects import Projects

    project = Projects(tmp_path / "projects").create("mine")
    folder = project.folder / "images"
    sound(folder, 2)
    assert run("edit", "--add", "hat", folder=folder)["changes"] == 2
    assert project.history.undo_words is not None
    project.history.undo()
    assert "hat" not in (folder / "sound000.txt").read_text(encoding="utf-8")
    assert run("redo", folder=folder)["status"] == 0
    assert "hat" in (folder / "sound000.txt").read_text(encoding="utf-8")
