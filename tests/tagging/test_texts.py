"""Every message exists in both languages, with the same values to fill in."""

from __future__ import annotations

from tests.texts import code, named, same_in_both, texts


def test_both_languages_say_the_same() -> None:
    same_in_both("tagging")


def test_every_message_that_is_used_has_a_text_and_every_text_a_use() -> None:
    source = code("tagging/*.py", "host/webui_taggers.py")
    raised, noticed = named("BadTagger|BadSettings", source), named("Noticed", source)
    assert {f"error.{key}" for key in raised} | {f"tagging.{key}" for key in noticed} == set(texts("en", "tagging"))
