"""Both languages have the same texts with the same gaps, and every error that the code raises has one."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from lora_trainer import errors
from lora_trainer.language import NUMBERED, Chinese, English, texts, translate

PACKAGE = Path(errors.__file__).parent


def gaps(text: str) -> set[str]:
    return {name.split("|")[0] for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same() -> None:
    english, chinese = texts(English), texts(Chinese)
    assert set(english) == set(chinese)
    for key, text in english.items():
        assert gaps(text) == gaps(chinese[key]), key


def test_words_fit_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(texts(English), "x", "{count:,} {count|image has|images have} {tags} {tags|tag|tags}")
    assert translate("x", English, count=1, tags=0) == "1 image has 0 tags"
    assert translate("x", English, count=1200, tags=1) == "1,200 images have 1 tag"
    assert translate("finding.caption_missing", English, count=1) == "1 image has no caption."
    assert translate("finding.caption_missing", English, count=2) == "2 images have no caption."


def test_numbered_words_have_both_forms() -> None:
    for language in (English, Chinese):
        for key, text in texts(language).items():
            assert not re.search(r"{[^{}]*\|[^{}]*}", NUMBERED.sub("", text)), key


def test_chinese_texts_use_chinese_punctuation() -> None:
    for key, text in texts(Chinese).items():
        for here, after in zip(text, text[1:] + " ", strict=True):
            assert not ("\u4e00" <= here <= "\u9fff" and after in ",:;?!"), (key, text)


def test_every_error_has_its_sentence() -> None:
    kinds = {name for name in vars(errors) if isinstance(vars(errors)[name], type)}
    raised = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    raised.add(first.value)
    assert len(raised) > 20
    assert not {key for key in raised if f"error.{key}" not in texts(English)}
