"""Every fault is named and nothing else; sound sets are silent; hostile files and names do no harm."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lora_trainer.dataset.checks import survey
from lora_trainer.dataset.checks.findings import KINDS, SEVERITIES, to_dict
from lora_trainer.language import LANGUAGES
from lora_trainer.settings import CaptionSettings, DataSettings
from tests.dataset.checks.sets import add, faulty, findings_of, named, scene, sound
from tests.dataset.files import bomb
from worlds.sprites.concepts import SETS, TRIGGERS

WORDS = {"trigger": "myword"}
HOSTILE = ['it\'s "quoted"', "two\nlines", "\N{GRINNING FACE}", "<script>alert(1)", "汉字", "{0} {name} %s", "a" * 200]


def test_every_fault_is_named_and_nothing_else(tmp_path: Path) -> None:
    expected = faulty(tmp_path)
    findings = findings_of(tmp_path / "set", goal="style", resolution=256, **WORDS)
    if len(expected) != len(findings):
        print([(one.key, [path.name for path in one.images]) for one in findings])
    expected.pop("too_few")  # the set is larger than a style needs
    assert named(findings) == expected


def test_a_set_without_any_caption_is_only_told_so(tmp_path: Path) -> None:
    """Tagging comes next; where others have captions, one without has been forgotten."""
    for number in range(3):
        add(scene(number), tmp_path / f"{number}.png", None)
    severity = {one.key: one.severity for one in findings_of(tmp_path)}
    assert severity["caption_missing"] == "note"
    sound(tmp_path, 3)
    severity = {one.key: one.severity for one in findings_of(tmp_path)}
    assert severity["caption_missing"] == "warning"


def test_findings_speak_both_languages_in_plain_text(tmp_path: Path) -> None:
    faulty(tmp_path)
    findings = findings_of(tmp_path / "set", **WORDS)
    severities = [SEVERITIES.index(finding.severity) for finding in findings]
    assert severities == sorted(severities)
    for finding in findings:
        english, chinese = (to_dict(finding, language) for language in LANGUAGES)
        assert english["what"] != chinese["what"]
        for text in (english["what"], english["why"], english["help"], chinese["what"], chinese["why"]):
            assert text and "<" not in text and "&" not in text


def test_every_kind_has_its_texts() -> None:
    from lora_trainer.language import texts

    for key, (severity, remedy) in KINDS.items():
        assert severity in SEVERITIES
        needed = {f"finding.{key}", f"finding.{key}.why", f"remedy.{remedy}" if remedy else f"finding.{key}.help"}
        assert needed <= set(texts("en"))


@pytest.mark.parametrize("character", TRIGGERS)
@pytest.mark.parametrize("triggered", [False, True])
def test_the_concept_sets_are_silent(character: str, triggered: bool) -> None:
    settings = {"resolution": 128, "trigger": TRIGGERS[character] if triggered else ""}
    found = named(findings_of(SETS / character, **settings))
    assert found == {}


def test_a_sound_set_is_silent(tmp_path: Path) -> None:
    sound(tmp_path / "set", 12)
    assert findings_of(tmp_path / "set", **WORDS) == []
    assert findings_of(tmp_path / "set") == []


def test_few_images_are_too_few_for_a_style(tmp_path: Path) -> None:
    sound(tmp_path / "set", 12)
    (finding,) = findings_of(tmp_path / "set", goal="style")
    assert finding.key == "too_few"
    assert "12" in finding.what() and "30" in finding.what()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_hostile_names_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "<b>set</b>"
    sound(folder, 10)
    for number, name in enumerate(HOSTILE):
        add(scene(200 + number), folder / f"{name}.png")
    assert findings_of(folder) == []
    for name in HOSTILE:
        (folder / f"{name}.png").write_bytes(b"")
    assert named(findings_of(folder)) == {"empty_file": {f"{name}.png" for name in HOSTILE}}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows allows such paths only where it is told to")
def test_long_paths(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 200) / ("e" * 200)
    sound(folder, 10)
    assert len(str(folder)) > 400
    assert findings_of(folder) == []


def test_undecodable_names(tmp_path: Path) -> None:
    sound(tmp_path, 10)
    try:
        add(scene(300), tmp_path / os.fsdecode(b"\xff\xfe.png"))
    except OSError:
        pytest.skip("this file system has no such names")
    assert findings_of(tmp_path) == []


def test_empty_and_missing_folders(tmp_path: Path) -> None:
    from lora_trainer.errors import BadDataset

    (tmp_path / "set").mkdir()
    assert [finding.key for finding in findings_of(tmp_path / "set")] == ["no_images"]
    with pytest.raises(BadDataset):
        findings_of(tmp_path / "elsewhere")


def test_what_the_training_would_refuse_besides_is_a_finding(tmp_path: Path) -> None:
    paths = sound(tmp_path, 10)
    (tmp_path / "repeats.txt").write_text("gone.png: 3", encoding="utf-8")
    for path in paths:
        path.with_suffix(".txt").rename(path.with_suffix(".caption"))
    findings = findings_of(tmp_path)
    assert [finding.key for finding in findings] == ["refused", "refused"]
    assert any("gone.png" in finding.what() for finding in findings)
    assert any(".caption" in finding.what("zh") for finding in findings)


def test_a_picture_without_permission_is_unreadable(tmp_path: Path) -> None:
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        pytest.skip("needs permissions that hold")
    path = sound(tmp_path, 11)[0]
    path.chmod(0)
    assert named(findings_of(tmp_path)) == {"unreadable": {path.name}}


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    paths = sound(tmp_path, 10)
    data = DataSettings(images=str(tmp_path), resolution=256)
    first = survey(data, CaptionSettings())
    second = survey(data, CaptionSettings(), known=first.known)
    assert all(one.measured is other.measured for one, other in zip(first.images, second.images, strict=True))
    bomb(paths[3], 30_000)
    third = survey(data, CaptionSettings(), known=second.known)
    assert [facts.path for facts in third.images if facts.measured.fault] == [paths[3]]


def test_progress_counts_images(tmp_path: Path) -> None:
    sound(tmp_path, 3)
    seen: list[tuple[int, int]] = []
    data = DataSettings(images=str(tmp_path))
    survey(data, CaptionSettings(), on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
