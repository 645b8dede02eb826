"""Filter expressions: what they find, against Python's own logic, and how they refuse."""

from __future__ import annotations

import random
import time

import pytest

from lora_trainer.captions.filters import matcher, quoted
from lora_trainer.errors import BadSettings
from lora_trainer.language import LANGUAGES

FOUND = ["1girl", "Long Hair", "green hat", "saber_(fate)", "miku \\(vocaloid\\)", "and", "*_*", 'a "b" c', "\\o/"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "1girl",
        "1GIRL",
        '"long hair"',
        "long hair",
        "long   hair AND 1girl",
        "1girl and not 2girls",
        "2girls or 1girl",
        "2girls and x or 1girl",
        "1girl or 2girls and x",
        "not (2girls or boy)",
        "not not 1girl",
        "* hat",
        "g*n hat",
        "*ong*air",
        "l*g h*r",
        "*",
        "saber_(fate)",
        "(saber_(fate))",
        "not(2girls)",
        "not(2girls)and(1girl)",
        "（1girl and “long hair”）",
        '"miku (vocaloid)"',
        "miku \\(vocaloid\\)",
        '"miku \\(vocaloid\\)"',
        '"and"',
        '"and" and not "or"',
        '"\\*_\\*"',
        "\\*_\\*",
        '"a \\"b\\" c"',
        '"\\\\o/"',
    ],
)
def test_found(text: str) -> None:
    assert matcher(text)(FOUND)


@pytest.mark.parametrize(
    "text", ["hair", "girl", "long*long*hair", "long hair*g", "not *", "not 1girl", '"1girl, long hair"', "x and *"]
)
def test_not_found(text: str) -> None:
    assert not matcher(text)(FOUND)


def test_untagged() -> None:
    assert matcher("not *")([])
    assert not matcher("*")([])


@pytest.mark.parametrize("tag", FOUND)
def test_a_quoted_tag_finds_itself_alone(tag: str) -> None:
    fits = matcher(quoted(tag))
    assert [other for other in FOUND if fits([other])] == [tag]


@pytest.mark.parametrize(
    ("text", "key", "position"),
    [
        ("and hat", "filter_lacks_tag", 1),
        ("hat and", "filter_lacks_tag", 8),
        ("hat or and cap", "filter_lacks_tag", 8),
        ("not", "filter_lacks_tag", 4),
        ("()", "filter_lacks_tag", 2),
        ("(hat", "filter_unclosed", 1),
        ("a and (b or (c)", "filter_unclosed", 7),
        ("hat)", "filter_unopened", 4),
        ("miku (vocaloid)", "filter_joint", 6),
        ('"red hat" cap', "filter_joint", 11),
        ("(a (b))", "filter_joint", 4),
        ("a not b", "filter_joint", 3),
        ('"red hat', "filter_unquoted", 1),
        ('""', "filter_empty_quotes", 1),
        ("red, hat", "filter_comma", 4),
        ("红，帽子", "filter_comma", 2),
        ("(" * 60 + "a" + ")" * 60, "filter_deep", 51),
        ("(" * 1999, "filter_deep", 51),
        ("a" * 3000, "filter_long", None),
    ],
)
def test_refusals_tell_where(text: str, key: str, position: int | None) -> None:
    with pytest.raises(BadSettings) as caught:
        matcher(text)
    assert caught.value.key == key
    assert caught.value.field == "filter"
    assert caught.value.values.get("position") == position
    for language in LANGUAGES:
        assert str(position or 2000) in caught.value.text(language)


def test_the_message_shows_the_place() -> None:
    with pytest.raises(BadSettings, match="hat or▸and cap"):
        matcher("hat or and cap")


def test_random_expressions_mean_what_python_means() -> None:
    chance = random.Random(4)
    names = ["hat", "red cap", "and", "sky, blue", "x(y)"]

    def expression(depth: int) -> tuple[str, str]:
        kind = chance.choice(["tag", "tag", "not", "and", "or", "group"]) if depth else "tag"
        if kind == "tag":
            name = chance.choice(names)
            return quoted(name), repr(name) + " in found"
        left, right = expression(depth - 1), expression(depth - 1)
        if kind == "not":
            return f"not ({left[0]})", f"(not ({left[1]}))"
        if kind == "group":
            return f"({left[0]})", f"({left[1]})"
        return f"{left[0]} {kind} {right[0]}", f"{left[1]} {kind} {right[1]}"

    for _ in range(500):
        ours, python = expression(4)
        found = [name for name in names if chance.random() < 0.5]
        assert matcher(ours)(found) == eval(python, {"found": found}), ours


def test_many_stars_do_not_hang() -> None:
    started = time.process_time()
    assert not matcher("*a" * 400 + "*b")(["a" * 20_000])
    assert time.process_time() - started < 1


def test_random_letters_never_crash() -> None:
    chance = random.Random(5)
    for _ in range(3000):
        text = "".join(chance.choices('ab* ()"\\“”，,andortn（）not ', k=chance.randrange(12)))
        try:
            matcher(text)(["a", "b and"])
        except BadSettings as error:
            assert error.key.startswith("filter_")
