"""Numbered files are found and named in one way; a name that would break somewhere later is refused at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_trainer.errors import BadSettings
from lora_trainer.picking.files import EpochFile, check_name, epoch_files, epoch_tag, lora_name


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_a_tag_has_six_digits_unless_told() -> None:
    assert (epoch_tag(4), epoch_tag(12, 3), lora_name("hero", 4)) == ("000004", "012", "hero-000004")


def test_epochs_come_in_order_and_other_files_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "hero-000010.safetensors", "hero-000002.safetensors", "hero-000002.png", "hero-3.safetensors")
    touch(tmp_path, "hero-000002.safetensors.tmp", "other.safetensors", "hero-step00000300.safetensors")
    (tmp_path / "hero-000005.safetensors").mkdir()
    found = epoch_files(tmp_path)
    assert [file.epoch for file in found] == [2, 10]
    assert found[0] == EpochFile(2, tmp_path / "hero-000002.safetensors", numbered=True)
    assert found[0].lora == "hero-000002"


def test_kohyas_last_file_gets_the_next_number_and_is_labelled(tmp_path: Path) -> None:
    touch(tmp_path, "hero-000001.safetensors", "hero-000002.safetensors", "hero.safetensors")
    assert [(file.epoch, file.lora, file.numbered) for file in epoch_files(tmp_path)] == [
        (1, "hero-000001", True),
        (2, "hero-000002", True),
        (3, "hero", False),
    ]


def test_a_lone_file_is_the_first_epoch(tmp_path: Path) -> None:
    touch(tmp_path, "style v2.safetensors")
    assert epoch_files(tmp_path) == [EpochFile(1, tmp_path / "style v2.safetensors", numbered=False)]


def test_a_name_selects_its_files(tmp_path: Path) -> None:
    touch(tmp_path, "hero-000001.safetensors", "hero-2-000001.safetensors", "villain-000001.safetensors")
    assert [file.lora for file in epoch_files(tmp_path, "hero")] == ["hero-000001"]
    assert [file.lora for file in epoch_files(tmp_path, "hero-2")] == ["hero-2-000001"]


@pytest.mark.parametrize(
    ("files", "name", "key"),
    [
        ([], None, "epochs_none"),
        (["hero.ckpt"], None, "epochs_none"),
        (["hero-000001.safetensors"], "villain", "epochs_none_named"),
        (["hero-000001.safetensors", "villain-000001.safetensors"], None, "epochs_several"),
        (["hero.safetensors", "villain.safetensors"], None, "epochs_several"),
    ],
)
def test_what_cannot_be_found_is_said(tmp_path: Path, files: list[str], name: str | None, key: str) -> None:
    touch(tmp_path, *files)
    with pytest.raises(BadSettings) as caught:
        epoch_files(tmp_path, name)
    assert caught.value.key == key
    assert str(tmp_path) in caught.value.text("en") and str(tmp_path) in caught.value.text("zh")


def test_a_folder_that_is_not_there_has_no_epochs(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="no LoRA file"):
        epoch_files(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["hero", "my hero_v2.1", "像素英雄", "hero-000001", "Number", "console", "a" * 200])
def test_good_names_pass(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("", "name_empty"),
        ("   ", "name_empty"),
        ("a/b", "name_path"),
        ("a\\b", "name_path"),
        ("C:hero", "name_path"),
        ("a..b", "name_path"),
        ("..", "name_path"),
        ("a,b", "name_characters"),
        ("a<b", "name_characters"),
        ('a"b', "name_characters"),
        ("what?", "name_characters"),
        ("a\tb", "name_characters"),
        ("hero.", "name_edges"),
        (".hero", "name_edges"),
        (" hero", "name_edges"),
        ("hero ", "name_edges"),
        ("con", "name_reserved"),
        ("LPT1", "name_reserved"),
        ("Nul.v2", "name_reserved"),
        ("NUMBER", "name_placeholder"),
        ("myNUM", "name_placeholder"),
        ("STRENGTHS", "name_placeholder"),
        ("像" * 67, "name_long"),
    ],
)
def test_bad_names_are_refused_with_a_sentence(name: str, key: str) -> None:
    with pytest.raises(BadSettings) as caught:
        check_name(name)
    assert (caught.value.key, caught.value.field) == (key, "name")
    assert caught.value.text("zh") != caught.value.text("en")


def test_a_character_that_cannot_be_seen_is_named() -> None:
    with pytest.raises(BadSettings, match=r"U\+0009"):
        check_name("a\tb")
