"""Checking and mending on the command line: exit status, both languages, JSON, taking back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_trainer.__main__ import main
from tests.dataset.checks.sets import faulty, sound
from worlds.sprites.concepts import SETS, TRIGGERS

CHECK = ("--resolution", "256", "--trigger", "myword")


def test_silence_is_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound(tmp_path, 10)
    assert main(["dataset", "check", str(tmp_path), *CHECK, "--language", "en"]) == 0
    assert capsys.readouterr().out == "10 images, nothing to mend.\n"


def test_findings_are_told_in_both_languages_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = sound(tmp_path, 11)[0].rename(tmp_path / "<script>\n.png")
    path.write_bytes(b"")
    assert main(["dataset", "check", str(tmp_path), *CHECK, "--language", "en"]) == 1
    english = capsys.readouterr().out
    assert "Error [empty_file]" in english and "Why: " in english and "Remedy: " in english
    assert "<script>\N{REPLACEMENT CHARACTER}.png" in english
    assert main(["dataset", "check", str(tmp_path), *CHECK, "--language", "zh", "--json"]) == 1
    chinese, data = capsys.readouterr().out.rstrip("\n").rsplit("\n", 1)
    assert "错误 [empty_file]：" in chinese
    (finding,) = json.loads(data)["findings"]
    assert finding["images"] == [str(path)] and finding["remedy"] == "set_aside"


def test_mending_and_taking_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "set"
    paths = sound(folder, 12)
    paths[0].write_bytes(b"")
    paths[1].with_suffix(".txt").write_text("a thing", encoding="utf-8")
    assert main(["dataset", "fix", str(folder), "empty_file", "trigger_missing", *CHECK]) == 0
    assert main(["dataset", "check", str(folder), *CHECK]) == 0
    assert main(["dataset", "fix", str(folder), "blurred", *CHECK]) == 1
    assert main(["dataset", "undo", str(folder)]) == 0
    assert paths[1].with_suffix(".txt").read_text(encoding="utf-8") == "a thing"
    assert main(["dataset", "undo", str(folder)]) == 0
    assert paths[0].read_bytes() == b""
    assert main(["dataset", "undo", str(folder), "--language", "en"]) == 1
    assert "nothing to undo" in capsys.readouterr().err
    assert main(["dataset", "redo", str(folder)]) == 0
    assert not paths[0].exists()


def test_balance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound(tmp_path, 24)
    options = ["--repeats", "8", "--batch-size", "2", "--validation-split", "0", "--language", "en", "--json"]
    assert main(["dataset", "balance", str(tmp_path), *options]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == "24 images × 8 repeats × 10 epochs ÷ 2 = 960 steps"
    assert json.loads(last)["steps"] == 960


def test_a_missing_folder_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "check", str(tmp_path / "gone"), "--language", "en"]) == 1
    assert "There is no folder" in capsys.readouterr().err


def test_every_fault_is_named_on_the_command_line_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = faulty(tmp_path)
    expected.pop("too_few")
    options = ["--goal", "style", *CHECK, "--home", str(tmp_path / "home"), "--json"]
    assert main(["dataset", "check", str(tmp_path / "set"), *options]) == 1
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["findings"]
    assert {one["key"]: {Path(path).name for path in one["images"]} for one in found} == expected


@pytest.mark.parametrize("character", TRIGGERS)
def test_the_concept_sets_are_silent(character: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--resolution", "128", "--trigger", TRIGGERS[character], "--home", str(tmp_path), "--language", "en"]
    assert main(["dataset", "check", str(SETS / character), *options]) == 0
    assert capsys.readouterr().out == "20 images, nothing to mend.\n"
