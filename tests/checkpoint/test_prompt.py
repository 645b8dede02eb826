"""Captions in chunks, and the WebUI's brackets."""

from __future__ import annotations

from typing import Any

import pytest

from lora_trainer.checkpoint.prompt import chunks, weights_of
from lora_trainer.checkpoint.tokenizer import clip_tokenizer

START, END = 49406, 49407


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return clip_tokenizer(tmp_path_factory.mktemp("clip"))


def ids_of(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", [("", 1.0)]),
        ("a red hat", [("a red hat", 1.0)]),
        ("a (red) hat", [("a ", 1.0), ("red", 1.1), (" hat", 1.0)]),
        ("(red:1.3), ((blue)), [green]", [("red", 1.3), (", ", 1.0), ("blue", 1.21), (", ", 1.0), ("green", 1 / 1.1)]),
        ("((red: 0.5 ) hat)", [("red", 0.55), (" hat", 1.1)]),
        (r"saber \(fate\)", [("saber (fate)", 1.0)]),
        ("(open", [("open", 1.1)]),
        ("[open", [("open", 1 / 1.1)]),
        ("close) here]", [("close) here]", 1.0)]),
        ("time: 12:30", [("time: 12:30", 1.0)]),
        ("(a)(b)", [("ab", 1.1)]),
        ("hat BREAK coat", [("hat", 1.0), (None, 1.0), ("coat", 1.0)]),
        ("BREAKFAST", [("BREAKFAST", 1.0)]),
        ("lone \\ slash", [("lone  slash", 1.0)]),
    ],
)
def test_brackets_weigh(text: str, pieces: list[tuple[str | None, float]]) -> None:
    found = weights_of(text)
    assert [piece for piece, _ in found if piece != ""] == [piece for piece, _ in pieces if piece != ""]
    kept = [weight for piece, weight in found if piece != ""]
    assert kept == pytest.approx([weight for piece, weight in pieces if piece != ""])


def test_a_short_caption_is_one_chunk_as_transformers_pads_it(tokenizer: Any) -> None:
    for text in ("", "a red hat, blue coat"):
        (chunk,) = chunks(tokenizer, text, 75)
        expected = tokenizer(text, padding="max_length", max_length=77).input_ids
        assert list(chunk.ids) == expected
        assert set(chunk.weights) == {1.0}


def test_brackets_are_plain_text_without_weights(tokenizer: Any) -> None:
    (chunk,) = chunks(tokenizer, "(hat:1.5)", 75)
    assert list(chunk.ids[1:]) == (ids_of(tokenizer, "(hat:1.5)") + [END] * 76)[:76]
    (chunk,) = chunks(tokenizer, "red (hat:1.5)", 75, weighted=True)
    assert list(chunk.ids[:4]) == [START, *ids_of(tokenizer, "red hat"), END]
    assert chunk.weights[:4] == (1.0, 1.0, 1.5, 1.0)


def test_a_long_caption_has_chunks_with_their_own_ends(tokenizer: Any) -> None:
    words = ["red", "hat"] * 60  # 120 tokens, no comma
    found = chunks(tokenizer, " ".join(words), 150)
    ids = ids_of(tokenizer, " ".join(words))
    assert list(found[0].ids) == [START, *ids[:75], END]
    assert list(found[1].ids) == [START, *ids[75:], *[END] * 31]
    assert [len(chunks(tokenizer, " ".join(words * 4), length)) for length in (75, 150, 225)] == [1, 2, 3]


def test_a_tag_is_not_cut_in_two(tokenizer: Any) -> None:
    tags = ", ".join(["red hat"] * 30)  # 3 tokens a tag
    first, second = chunks(tokenizer, f"very very {tags}", 150)
    assert first.ids[73:] == (*ids_of(tokenizer, "hat,"), END, END)[-4:]
    assert list(second.ids[1:3]) == ids_of(tokenizer, "red hat")
    far = "red hat, " + "red " * 90  # the comma is too far from the end
    assert chunks(tokenizer, far, 150)[0].ids[75:] == (*ids_of(tokenizer, "red"), END)


def test_break_ends_a_chunk(tokenizer: Any) -> None:
    first, second = chunks(tokenizer, "hat BREAK coat", 150, weighted=True)
    assert list(first.ids[:3]) == [START, *ids_of(tokenizer, "hat"), END]
    assert list(second.ids[:3]) == [START, *ids_of(tokenizer, "coat"), END]
