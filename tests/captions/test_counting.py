"""The frequency list, token counts, and what is proposed to be bound to the trigger."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_trainer.captions.binding import bindings
from lora_trainer.captions.counting import TagCount, frequencies, token_counts
from lora_trainer.captions.selection import Everything
from lora_trainer.language import LANGUAGES, translate

from .folders import fill


def test_frequencies(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    texts = {"a": "Hat, *_*, hat", "b": "hat, |||, sky", "c": "HAT, sky", "d": "", "5_girl/e": None}
    store = fill(tmp_path, texts)
    rows = frequencies(store.captions, mark="|||")
    assert rows == [
        TagCount(None, 2, 2 / 6),
        TagCount("hat", 4, 4 / 6),
        TagCount("*_*", 2, 2 / 6),
        TagCount("sky", 2, 2 / 6),
    ]
    for row in rows:
        assert sum(len(one.images) for one in store.selected(row.selection)) == row.images


def test_frequencies_of_nothing() -> None:
    assert frequencies([]) == []
    assert bindings([]) == []


def test_no_untagged_row_where_all_have_tags(tmp_path: Path) -> None:
    assert [row.tag for row in frequencies(fill(tmp_path, {"a": "x"}).captions)] == ["x"]


def test_token_counts(tmp_path: Path) -> None:
    store = fill(tmp_path, {"a": "red hat,sky", "b": None})
    assert token_counts(store.captions, len) == {tmp_path / "a.png": len("red hat, sky"), tmp_path / "b.png": 0}


def test_common_tags_are_proposed_and_removing_them_is_one_edit(tmp_path: Path) -> None:
    texts = {
        str(number): "sks, green hat" + (", smile" if number else "") + ", sky" * (number < 5) for number in range(10)
    }
    store = fill(tmp_path, texts)
    proposals = bindings(store.captions, "SKS")
    assert [(one.tag, one.images, one.share) for one in proposals] == [("green hat", 10, 1.0), ("smile", 9, 0.9)]
    assert [one.tag for one in bindings(store.captions, "SKS", common=0.5)] == ["green hat", "smile", "sky"]
    assert [one.tag for one in bindings(store.captions)] == ["green hat", "sks", "smile"]
    store.apply(proposals[0].operation, Everything())
    assert [one.tag for one in bindings(store.captions, "SKS")] == ["smile"]


def test_untagged_images_count_against_a_tag(tmp_path: Path) -> None:
    store = fill(tmp_path, {"a": "hat", "b": "hat", "c": None, "5_girl/d": None})
    assert bindings(store.captions) == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_prove_nothing(tmp_path: Path, count: int) -> None:
    store = fill(tmp_path, {str(number): "hat" for number in range(count)})
    assert len(bindings(store.captions)) == (count == 3)


def test_the_explanation_says_both(tmp_path: Path) -> None:
    store = fill(tmp_path, {str(number): "{0} hat" for number in range(4)})
    one = bindings(store.captions, "sks")[0]
    for language in LANGUAGES:
        assert all(part in one.text(language) for part in ("{0} hat", "100%", "4", "sks"))
        assert translate("captions.bind_why", language)
    assert "bind what it names to “sks”" in one.text("en")
    assert "stays adjustable" in one.text("en")
    assert "绑定到“sks”" in one.text("zh")
    assert "灵活调整" in one.text("zh")
    assert "the trigger word" in bindings(store.captions)[0].text("en")
    assert "绑定到触发词" in bindings(store.captions)[0].text("zh")
