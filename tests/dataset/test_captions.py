"""Captions become clean tags, and the trigger comes first exactly once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lora_trainer.dataset.captions import (
    Wording,
    caption,
    caption_ending,
    check_captions,
    read_caption,
    tags,
    variants,
    with_trigger,
    worded,
)
from lora_trainer.errors import BadDataset, BadSettings
from lora_trainer.settings import CaptionSettings

from .files import says


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1girl, red hat", ["1girl", "red hat"]),
        ("  1girl ,red   hat,, ,smile , ", ["1girl", "red hat", "smile"]),
        ("1girl\nred hat\r\n\r\nsmile", ["1girl", "red hat", "smile"]),
        ("1girl，red\u3000hat", ["1girl", "red hat"]),
        ("a girl in a red hat", ["a girl in a red hat"]),
        ("long_hair, :), (a:1.2)", ["long_hair", ":)", "(a:1.2)"]),
        ("", []),
        (" ,\n, ", []),
    ],
)
def test_tags(text: str, expected: list[str]) -> None:
    assert tags(text) == expected
    assert tags(caption(expected)) == expected


@pytest.mark.parametrize(
    ("text", "trigger", "expected"),
    [
        ("1girl, hat", "miku_v1", "miku_v1, 1girl, hat"),
        ("miku_v1, 1girl", "miku_v1", "miku_v1, 1girl"),
        ("1girl, miku_v1, hat", "miku_v1", "miku_v1, 1girl, hat"),
        ("Miku_V1, 1girl, miku_v1", "miku_v1", "miku_v1, 1girl"),
        ("miku_v1 standing in rain, hat", "miku_v1", "miku_v1 standing in rain, hat"),
        ("miku_v1 standing, miku_v1", "miku_v1", "miku_v1 standing"),
        ("miku_v1, miku_v1's hat", "miku_v1", "miku_v1, miku_v1's hat"),
        ("miku_v12, hat", "miku_v1", "miku_v1, miku_v12, hat"),
        ("miku_v1-like hat", "miku_v1", "miku_v1, miku_v1-like hat"),
        ("hat, photo of miku_v1", "miku_v1", "miku_v1, hat, photo of miku_v1"),
        ("1girl, hat", "sks, girl", "sks, girl, 1girl, hat"),
        ("girl, sks, hat", " sks ,girl", "sks, girl, hat"),
        ("c++ code", "c++", "c++ code"),
        ("", "miku_v1", "miku_v1"),
        ("hat", "", "hat"),
        ("hat", "  ", "hat"),
        ("", "", ""),
    ],
)
def test_trigger_comes_first_once(text: str, trigger: str, expected: str) -> None:
    assert with_trigger(text, trigger) == expected
    assert with_trigger(expected, trigger) == expected


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfhat, \xe7\xba\xa2", "hat,红\n".encode()])
def test_utf_8_with_and_without_its_mark(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert read_caption(path) == "hat, 红"


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "utf-16-le", "big5", "shift-jis"])
def test_other_encodings_are_refused_by_name(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "第一 张.txt"
    path.write_bytes("帽子, hat".encode(encoding))
    with pytest.raises(BadDataset) as caught:
        read_caption(path)
    assert caught.value.key == "caption_encoding"
    assert says(caught.value, "第一 张.txt", "UTF-8")


def test_a_caption_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(BadDataset) as caught:
        read_caption(tmp_path / "a.txt")
    assert caught.value.key == "caption_unreadable"
    assert says(caught.value, "a.txt")


def parts(text: str, trigger: str = "", **values: Any) -> Wording:
    return worded(text, trigger, CaptionSettings(**values))


@pytest.mark.parametrize(
    ("text", "prefix", "suffix", "expected"),
    [
        ("1girl, hat", "photo of", "", "sks, photo of 1girl, hat"),  # a space between, as kohya
        ("1girl, hat", "masterpiece,", ", outdoors", "sks, masterpiece, 1girl, hat, outdoors"),
        ("sks, 1girl", "photo of", "", "sks, photo of 1girl"),  # the trigger is not caught behind the prefix
        ("1girl", "sks, best", "", "sks, best 1girl"),
        ("", "photo", "at night", "sks, photo at night"),
        ("sks in rain, hat", "", "at night", "sks in rain, hat at night"),
        ("sks in rain", "photo of", "", "sks, photo of sks in rain"),
        ("", "", "", "sks"),
    ],
)
def test_prefix_and_suffix(text: str, prefix: str, suffix: str, expected: str) -> None:
    assert with_trigger(text, "sks", prefix, suffix) == expected
    assert parts(text, "sks", caption_prefix=prefix, caption_suffix=suffix).text == expected


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a, b, c", {"keep_tokens": 0}, Wording((), ("a", "b", "c"))),
        ("a, b, c", {"keep_tokens": 2}, Wording(("a", "b"), ("c",))),
        ("a, b", {"keep_tokens": 9}, Wording(("a", "b"))),
        ("", {"keep_tokens": 2}, Wording()),
        # kohya: fixed ||| flexible ||| fixed end; with a mark keep_tokens does not count
        ("a, b ||| c, d", {"keep_tokens_separator": "|||"}, Wording(("a", "b"), ("c", "d"))),
        ("a|||b, c|||d, e", {"keep_tokens_separator": "|||"}, Wording(("a",), ("b", "c"), ("d", "e"))),
        ("a, |||, b, ||| c", {"keep_tokens_separator": " ||| ", "keep_tokens": 3}, Wording(("a",), ("b",), ("c",))),
        ("||| a, b", {"keep_tokens_separator": "|||"}, Wording((), ("a", "b"))),
        ("a ||| b ||| c ||| d", {"keep_tokens_separator": "|||"}, Wording(("a",), ("b",), ("c", "d"))),
        ("a, b", {"keep_tokens_separator": "|||", "keep_tokens": 1}, Wording(("a",), ("b",))),
        ("a ||| b", {}, Wording(("a ||| b",))),
        ("b", {"keep_tokens_separator": "#", "caption_prefix": "a #"}, Wording(("a",), ("b",))),
        ("b", {"keep_tokens_separator": "#", "caption_suffix": "# # c"}, Wording(("b",), (), ("c",))),
    ],
)
def test_what_stays_and_what_moves(text: str, values: dict[str, Any], expected: Wording) -> None:
    assert parts(text, **values) == expected


@pytest.mark.parametrize("keep_tokens", [0, 1])
@pytest.mark.parametrize(("trigger", "fixed"), [("sks", ("sks",)), ("sks, girl", ("sks", "girl"))])
def test_the_trigger_always_stays(keep_tokens: int, trigger: str, fixed: tuple[str, ...]) -> None:
    assert parts("a, b", trigger, keep_tokens=keep_tokens) == Wording(fixed, ("a", "b"))
    marked = parts("a ||| sks, b", trigger, keep_tokens=keep_tokens, keep_tokens_separator="|||")
    assert marked == Wording((*fixed, "a"), ("b",))
    assert parts("", trigger, keep_tokens=keep_tokens) == Wording(fixed)


# Nothing may ever change these: what is cached would be made again, and a resumed run would go on differently.
PINNED = ("sks, c, a, d", "sks, a, c", "sks, a, d, b")
WORDING = Wording(("sks", "girl"), tuple("abcdefgh"), ("night",))


def test_without_shuffle_and_dropout_there_is_one_version() -> None:
    assert variants(WORDING, CaptionSettings(caption_dropout_rate=0.5), 1) == (
        "sks, girl, a, b, c, d, e, f, g, h, night",
    )


def test_shuffling_moves_flexible_tags_only() -> None:
    found = variants(WORDING, CaptionSettings(shuffle_caption=True, caption_variants=64), 1)
    assert len(found) == 64
    assert len(set(found)) > 60
    for version in found:
        own = tags(version)
        assert own[:2] == ["sks", "girl"]
        assert own[-1] == "night"
        assert sorted(own[2:-1]) == list("abcdefgh")
    # Each tag comes to each of the 8 places equally often: 64 * 20 versions, 160 each.
    places = Counter(
        (tag, place)
        for seed in range(20)
        for version in variants(WORDING, CaptionSettings(shuffle_caption=True, caption_variants=64), seed)
        for place, tag in enumerate(tags(version)[2:-1])
    )
    assert len(places) == 64
    assert all(100 < count < 220 for count in places.values())  # five standard deviations


def test_dropout_takes_flexible_tags_at_its_rate_and_keeps_their_order() -> None:
    settings = CaptionSettings(caption_tag_dropout_rate=0.3, caption_variants=64)
    found = [tags(version) for seed in range(20) for version in variants(WORDING, settings, seed)]
    kept = Counter(tag for version in found for tag in version)
    assert kept["sks"] == kept["girl"] == kept["night"] == len(found) == 1280
    assert all(abs(kept[tag] / 1280 - 0.7) < 0.065 for tag in "abcdefgh")  # five standard deviations
    assert all(version[2:-1] == sorted(version[2:-1]) for version in found)
    everything = CaptionSettings(caption_tag_dropout_rate=1.0, shuffle_caption=True)
    assert set(variants(WORDING, everything, 1)) == {"sks, girl, night"}


def test_versions_are_the_same_for_the_same_seed() -> None:
    settings = CaptionSettings(shuffle_caption=True, caption_tag_dropout_rate=0.2, caption_variants=3)
    four = Wording(("sks",), tuple("abcd"))
    known = replace(settings, caption_tag_dropout_rate=0.3)
    assert variants(four, known, 7) == PINNED
    assert variants(WORDING, settings, 7) == variants(WORDING, settings, 7)
    assert len({variants(WORDING, settings, seed) for seed in range(20)}) == 20
    more = CaptionSettings(shuffle_caption=True, caption_tag_dropout_rate=0.2, caption_variants=5)
    assert variants(WORDING, more, 7)[:3] == variants(WORDING, settings, 7)  # what is cached stays of use


@pytest.mark.parametrize("mark", [" ", "\t\n", ",", "a, b", "，", "|\n|"])
def test_marks_that_cannot_divide(mark: str) -> None:
    with pytest.raises(BadSettings) as caught:
        check_captions(CaptionSettings(keep_tokens_separator=mark))
    assert (caught.value.key, caught.value.field) == ("keep_tokens_separator", "keep_tokens_separator")


@pytest.mark.parametrize("extension", ["", " ", ".", "..", "a/b", "\\x", ".png", "JPG", ".  "])
def test_endings_that_no_caption_has(extension: str) -> None:
    with pytest.raises(BadSettings) as caught:
        check_captions(CaptionSettings(caption_extension=extension))
    assert (caught.value.key, caught.value.field) == ("caption_extension", "caption_extension")
    assert says(caught.value, f"“{extension}”")


@pytest.mark.parametrize(
    ("extension", "ending"), [(".txt", ".txt"), ("caption", ".caption"), (" .txt ", ".txt"), (".wd14.txt", ".wd14.txt")]
)
def test_endings(extension: str, ending: str) -> None:
    settings = CaptionSettings(caption_extension=extension, keep_tokens_separator="|||")
    check_captions(settings)
    assert caption_ending(settings) == ending
