"""Captions become clean tags, and the trigger comes first exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_trainer.dataset.captions import caption, read_caption, tags, with_trigger
from lora_trainer.errors import BadDataset

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
