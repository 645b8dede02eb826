"""Every message exists in both languages, with the same values to fill in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter

import lora_trainer

PACKAGE = Path(lora_trainer.__file__).parent


def texts(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((PACKAGE / "locale" / language / "dataset.json").read_text(encoding="utf-8"))
    return found


def places(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}


def test_both_languages_say_the_same() -> None:
    english, chinese = texts("en"), texts("zh")
    assert list(english) == list(chinese)
    assert {key: places(text) for key, text in english.items()} == {k: places(text) for k, text in chinese.items()}


def test_every_error_that_is_raised_has_a_text_and_every_text_an_error() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in (PACKAGE / "dataset").glob("*.py"))
    raised = set(re.findall(r'(?:BadDataset|BadSettings|RunFailed)\(\s*"(\w+)"', code))
    assert {f"error.{key}" for key in raised} == set(texts("en"))
