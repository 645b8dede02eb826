"""From probabilities to the tags of a caption, and how they join those that are there."""

from __future__ import annotations

import pytest

from lora_trainer.errors import BadSettings
from lora_trainer.tagging.tagger import Reading
from lora_trainer.tagging.thresholds import Thresholds
from lora_trainer.tagging.wording import KAOMOJI, Mode, Style, blacklist, distinct, joined, same, worded

READING = Reading(
    {"long_hair": 0.6, "1girl": 0.9, "^_^": 0.7, "tree_(plant)": 0.5, "solo": 0.4}, {"zip_(tale)": 0.45}, {"safe": 0.9}
)


def test_most_probable_first_characters_before_all_the_rating_last() -> None:
    found = worded(READING, Style())
    assert found == ["zip (tale)", "1girl", "^_^", "long hair", "tree (plant)", "solo", "safe"]
    plain = worded(READING, Style(characters_first=False))
    assert plain == ["1girl", "^_^", "long hair", "tree (plant)", "zip (tale)", "solo", "safe"]


def test_by_alphabet() -> None:
    found = worded(READING, Style(order="alphabetical", characters_first=False))
    assert found == ["1girl", "^_^", "long hair", "solo", "tree (plant)", "zip (tale)", "safe"]
    assert worded(READING, Style(order="alphabetical"))[0] == "zip (tale)"


def test_underscores_stay_where_they_are_wanted_and_in_faces() -> None:
    assert "long_hair" in worded(READING, Style(spaces=False))
    assert len(KAOMOJI) == 19
    faces = Reading(dict.fromkeys(KAOMOJI, 0.5))
    assert set(worded(faces, Style())) == KAOMOJI


def test_brackets_are_escaped_where_that_is_asked_for() -> None:
    found = worded(READING, Style(escape=True))
    assert found[0] == r"zip \(tale\)"
    assert r"tree \(plant\)" in found
    assert worded(Reading({r"\m/": 0.5}), Style(escape=True)) == [r"\\m/"]


def test_the_blacklist_knows_a_tag_in_every_spelling() -> None:
    never = blacklist("Long hair, tree_\\(plant\\)，SOLO\nsafe")
    assert worded(READING, Style(blacklist=never)) == ["zip (tale)", "1girl", "^_^"]


def test_the_maximum_takes_the_most_probable_and_leaves_the_rating() -> None:
    assert worded(READING, Style(maximum=2)) == ["1girl", "^_^", "safe"]
    assert worded(READING, Style(maximum=2, order="alphabetical")) == ["1girl", "^_^", "safe"]
    assert len(worded(READING, Style(maximum=0))) == 7


def test_a_tag_with_a_comma_stays_one_tag() -> None:
    assert worded(Reading({"hat,_red\n": 0.5}), Style()) == ["hat red"]


def test_every_mode() -> None:
    old, new = ["Trigger", "long hair"], ["long_hair", "hat", "Hat", "trigger", "sky"]
    assert joined(old, new, Mode.Missing) == old
    assert joined([], new, Mode.Missing) == ["long_hair", "hat", "trigger", "sky"]
    assert joined(old, new, Mode.Overwrite) == ["long_hair", "hat", "trigger", "sky"]
    assert joined(old, new, Mode.Append) == ["Trigger", "long hair", "hat", "sky"]
    assert joined(old, new, Mode.Prepend) == ["hat", "sky", "Trigger", "long hair"]


def test_the_same_tag_once_and_the_first_stays() -> None:
    assert distinct(["a", "b", "A", "b_c", "b c"]) == ["a", "b", "b_c"]
    assert same(r"Zip_\(tale\)") == same("zip (tale)")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Style(order="size"),
        lambda: Style(maximum=-1),
        lambda: Thresholds(general=1.1),
        lambda: Thresholds(rating=-0.1),
        lambda: Thresholds(character=float("nan")),
    ],
)
def test_impossible_settings_are_refused(make) -> None:
    with pytest.raises(BadSettings):
        make()
