"""Each operation on one caption, with and without what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_trainer.captions.caption import Caption, Kept, parts, written
from lora_trainer.captions.operations import (
    Add,
    Deduplicate,
    Operation,
    Remove,
    Replace,
    ReplacePattern,
    SetCaptions,
    Sort,
)

from .folders import edited

pytestmark = pytest.mark.usefixtures("at_once")
SKS = Kept(trigger="sks")


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        (Add("hat"), "a, b", "hat, a, b"),
        (Add("hat, cap"), "", "hat, cap"),
        (Add("hat", at=None), "a, b", "a, b, hat"),
        (Add("hat", at=1), "a, b", "a, hat, b"),
        (Add("hat", at=9), "a, b", "a, b, hat"),
        (Add("B, c, C"), "a, b", "c, a, b"),
        (Add("B, c", move=True), "a, b", "B, c, a"),
        (Remove(("B",)), "a, b, B, c", "a, c"),
        (Remove(("*_*",)), "*_*, a_b", "a_b"),
        (Remove(("miku (vocaloid)",)), "miku \\(vocaloid\\), a", "a"),
        (Replace("b", "x"), "a, B, bb", "a, x, bb"),
        (Replace("b", "x, y"), "a, b", "a, x, y"),
        (Replace("b", ""), "a, b", "a"),
        (Replace("b", "A"), "a, b", "a"),
        (Replace("b", "c"), "b, B, c", "c"),
        (Replace("  red   hat", "x"), "red hat", "x"),
        (Replace("", "x"), "a", "a"),
        (Replace("_", " ", inside=True), "long_hair, hat", "long hair, hat"),
        (Replace("HAT", "\\1", inside=True), "red hat", "red \\1"),
        (ReplacePattern(r"^(\w+) hat$", r"hat of \1"), "red hat, hat", "hat of red, hat"),
        (ReplacePattern(r"(?P<c>red|blue) (?P<t>\w+)", r"\g<t> in \g<c>"), "red hat, Red cap", "hat in red, Red cap"),
        (ReplacePattern("RED", "blue", ignore_case=True), "red hat", "blue hat"),
        (ReplacePattern(".*", ""), "a, b", ""),
        (ReplacePattern("a(x)?", r"b\1"), "a", "b"),
        (Deduplicate(), "a, b, A, b, c", "a, b, c"),
        (Sort(), "c, B, a", "a, B, c"),
        (SetCaptions({Path("a.png"): "x,y\nz"}), "a", "x, y, z"),
        (SetCaptions({Path("b.png"): "x"}), "a", "a"),
    ],
)
def test_unprotected(operation: Operation, before: str, after: str) -> None:
    assert edited(operation, before) == after


@pytest.mark.parametrize(
    ("operation", "kept", "before", "after"),
    [
        (Add("hat"), SKS, "sks, a", "sks, hat, a"),
        (Add("hat"), SKS, "a, sks", "hat, a, sks"),
        (Add("hat", at=1), SKS, "sks, a", "sks, hat, a"),
        (Add("hat", at=2), SKS, "sks, a, b", "sks, a, hat, b"),
        (Add("hat"), Kept(count=2), "a, b, c", "a, b, hat, c"),
        (Add("a", at=None, move=True), Kept(count=1), "a, b", "a, b"),
        (Remove(("sks", "a")), SKS, "SKS, a, b", "SKS, b"),
        (Remove(("sks", "a")), SKS, "a, sks, b", "sks, b"),
        (Remove(("a", "b")), Kept(count=1), "a, b, a", "a"),
        (Replace("sks", "x"), SKS, "sks, a", "sks, a"),
        (Replace("s", "x", inside=True), SKS, "a, sks, sun", "a, sks, xun"),
        (ReplacePattern(".+", "x"), SKS, "sks, a, b", "sks, x"),
        (Replace("b", "sks"), SKS, "sks, b", "sks"),
        (Deduplicate(), SKS, "sks, a, sks, A", "sks, a"),
        (Sort(), SKS, "sks, b, a", "sks, a, b"),
        (Sort(), Kept("sks", 2), "sks, z, b, a", "sks, z, a, b"),
        (Sort(), Kept(count=9), "b, a", "b, a"),
        (SetCaptions({Path("a.png"): "x, sks"}), SKS, "sks, a", "sks, x"),
        (SetCaptions({Path("a.png"): "x"}), SKS, "a, sks", "sks, x"),
        (SetCaptions({Path("a.png"): "x, sks"}), SKS, "a, sks", "x, sks"),
        (Remove(("a",)), Kept("sks girl, 1girl"), "sks girl, 1girl, a", "sks girl, 1girl"),
    ],
)
def test_what_is_kept_stays(operation: Operation, kept: Kept, before: str, after: str) -> None:
    assert edited(operation, before, kept) == after


@pytest.mark.parametrize(
    ("operation", "kept", "before", "after"),
    [
        (Sort(), Kept(), "b, a, |||, d, c", "a, b, |||, c, d"),
        (Sort(), Kept(count=1), "b, a, |||, d, c, |||, z, y", "b, a, |||, c, d, |||, z, y"),
        (Remove(("|||", "a", "z")), Kept(), "a, |||, b, |||, z", "|||, b, |||"),
        (Remove(("a", "b", "z")), Kept("sks"), "a, |||, b, |||, z", "a, |||, |||, z"),
        (Deduplicate(), Kept(), "a, |||, a, b, |||, b", "a, |||, b, |||"),
        (ReplacePattern(".+", "x"), Kept(), "a, |||, b", "x, |||"),
    ],
)
def test_the_separator_stays_where_it_is(operation: Operation, kept: Kept, before: str, after: str) -> None:
    assert edited(operation, before, kept, mark="|||") == after


def test_sort_by_frequency() -> None:
    captions = [Caption(Path(name), (Path(name),), tags, b"") for name, tags in (("1", ("c", "b")), ("2", ("a", "c")))]
    edit = Sort(by_frequency=True).editor(captions)
    assert list(edit(captions[1], parts(("a", "b", "c"), Kept()))) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, b"x, y\n"),
        (b"", b"x, y"),
        (b"a", b"x, y"),
        (b"a\n", b"x, y\n"),
        (b"a\r\n", b"x, y\r\n"),
        (b"a\nb\n\n", b"x, y\n"),
        (b"\xef\xbb\xbfa\r", b"\xef\xbb\xbfx, y\r"),
    ],
)
def test_the_files_form_is_kept(old: bytes | None, new: bytes) -> None:
    assert written(["x", "y"], old) == new
