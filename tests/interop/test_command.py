"""Import and export on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_trainer.__main__ import main

DATA = Path(__file__).parent / "data"


def test_import_prints_settings_that_train_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(DATA / "kohya_character.toml"), "--language", "en"]) == 0
    text = capsys.readouterr().out
    assert "# Ignored:" in text
    config = tmp_path / "ours.toml"
    config.write_text(text, encoding="utf-8")
    printed = []
    for source in (["--config", str(config)], ["--from", str(DATA / "kohya_character.toml")]):
        assert main(["train", *source, "--epochs", "3", "--print-config"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "epochs = 3" in printed[0]


def test_import_says_it_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(DATA / "gui_sdxl.json"), "--json", "--language", "zh"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["kind"], told["settings"]["epochs"]) == ("gui", 16)
    assert any("。" in note["text"] for note in told["ignored"])


def test_a_bad_file_gives_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.toml"
    path.write_text("a = = b", encoding="utf-8")
    assert main(["import", str(path), "--language", "en"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_export_writes_and_says_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "kohya"
    command = ["train", "--images", "set", "--ema-decay", "0.99", "--export-kohya", str(folder), "--language", "en"]
    assert main(command) == 0
    assert "ema_decay = 0.99" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == ["config.toml", "dataset.toml"]
