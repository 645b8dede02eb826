"""Regular expressions that are bad, endless or too fruitful are refused, and hold nothing up."""

from __future__ import annotations

import time

import pytest

from lora_trainer.captions import patterns
from lora_trainer.captions.patterns import replaced
from lora_trainer.errors import BadSettings
from lora_trainer.language import LANGUAGES


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("pattern", "new", "key"),
    [
        ("(a", "", "pattern_malformed"),
        ("*a", "", "pattern_malformed"),
        ("[a", "", "pattern_malformed"),
        ("a\\", "", "pattern_malformed"),
        ("(" * 490, "", "pattern_malformed"),
        ("a{99999999999}", "", "pattern_malformed"),
        ("a", "\\1", "pattern_replacement"),
        ("(a)", "\\2", "pattern_replacement"),
        ("(a)", "\\g<b>", "pattern_replacement"),
        ("(a)", "\\g<b", "pattern_replacement"),
        ("a", "\\q", "pattern_replacement"),
        ("a" * 501, "", "pattern_long"),
        ("a", "b" * 501, "pattern_long"),
        ("(.)", "\\1" * 200, "pattern_grows"),
    ],
)
def test_refused(pattern: str, new: str, key: str) -> None:
    found = ["z" * 600] if key == "pattern_grows" else ["nothing like it"]
    with pytest.raises(BadSettings) as caught:
        replaced(pattern, new, found)
    assert caught.value.key == key
    assert all(caught.value.text(language) for language in LANGUAGES)


def test_a_catastrophic_expression_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "LIMIT_S", 2.0)
    started = time.monotonic()
    with pytest.raises(BadSettings) as caught:
        replaced("(a+)+$", "", ["a" * 60 + "b"])
    assert caught.value.key == "pattern_slow"
    assert time.monotonic() - started < 30


def test_a_worker_that_does_not_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns.sys, "executable", "/nowhere/python")
    with pytest.raises(BadSettings) as caught:
        replaced("a", "b", ["a"])
    assert caught.value.key == "pattern_failed"


def test_only_what_changes_comes_back() -> None:
    assert replaced("帽", "巾", ["帽子", "hat", "é"]) == {"帽子": "巾子"}
    assert replaced("(?x) a  # a comment", "b", ["a"]) == {"a": "b"}
    assert replaced("", "b", ["a"]) == {}
    long = "x" * 20_000
    assert replaced("a", "b", ["a", long]) == {"a": "b"}
