"""Every message exists in both languages, with the same values to fill in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter

import lora_trainer

PACKAGE = Path(lora_trainer.__file__).parent


def texts(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((PACKAGE / "locale" / language / "tagging.json").read_text(encoding="utf-8"))
    return found


def places(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}


def test_both_languages_say_the_same() -> None:
    english, chinese = texts("en"), texts("zh")
    assert list(english) == list(chinese)
    assert {key: places(text) for key, text in english.items()} == {k: places(text) for k, text in chinese.items()}


def test_every_message_that_is_used_has_a_text_and_every_text_a_use() -> None:
    files = [*(PACKAGE / "tagging").glob("*.py"), PACKAGE / "host" / "webui_taggers.py"]
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    raised = set(re.findall(r'(?:BadTagger|BadSettings)\(\s*"(\w+)"', code))
    noticed = set(re.findall(r'Noticed\(\s*key="(\w+)"', code))
    assert {f"error.{key}" for key in raised} | {f"tagging.{key}" for key in noticed} == set(texts("en"))
