"""Languages: which one is spoken, what the script gets, and the host's files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lora_trainer.api.wording import HOST_STEMS, host_dictionary, page_texts, spoken, write_localizations
from lora_trainer.language import LANGUAGES, fixed

ROOT = Path(__file__).resolve().parents[2]
# The WebUI's localization passes over texts with a character of this class; it takes some plain symbols for emoji.
PICTOGRAPHS = re.compile("[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff]")
PUNCTUATION = re.compile("[\u3000-\u303f]")


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("zh_CN", "zh"),
        ("zh-Hans (Stable)", "zh"),
        ("en", "en"),
        ("None", None),
        ("", None),
        (None, None),
        ("ja_JP", None),
    ],
)
def test_the_hosts_language(code: str | None, language: str | None) -> None:
    assert fixed(code) == fixed(lambda: code) == language


@pytest.mark.parametrize(
    ("host", "accept", "language"),
    [
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "de-DE,de;q=0.9,zh;q=0.5", "zh"),
        (None, "en-GB,zh;q=0.5", "en"),
        (None, "", "en"),
        ("zh_CN", "en-US", "zh"),
        ("None", "fr", "en"),
    ],
)
def test_the_language_spoken(host: str | None, accept: str, language: str) -> None:
    assert spoken(host, accept) == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_plain(language: str) -> None:
    for key, text in page_texts(language).items():
        assert text.strip(), key
        assert "`" not in text, key
        spotted = set(PICTOGRAPHS.findall(text)) - set(PUNCTUATION.findall(text))
        assert not spotted, (key, spotted)


def test_the_hosts_files_have_not_drifted(tmp_path: Path) -> None:
    write_localizations(tmp_path)
    for stem in HOST_STEMS:
        shipped = (ROOT / "localizations" / f"{stem}.json").read_text(encoding="utf-8")
        made = (tmp_path / f"{stem}.json").read_text(encoding="utf-8")
        assert shipped == made, "run lora_trainer.api.wording.write_localizations(Path('localizations'))"


def test_the_hosts_files_touch_nothing_that_others_say() -> None:
    assert all(" " in english and "{" not in english for english in host_dictionary())
