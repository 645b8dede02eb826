"""Every message exists in both languages, with the same values to fill in."""

from __future__ import annotations

from tests.texts import code, named, same_in_both, texts


def test_both_languages_say_the_same() -> None:
    same_in_both("dataset")


def test_every_error_that_is_raised_has_a_text_and_every_text_an_error() -> None:
    raised = named("BadDataset|BadSettings|RunFailed", code("dataset/*.py"))
    assert {f"error.{key}" for key in raised} == set(texts("en", "dataset"))
