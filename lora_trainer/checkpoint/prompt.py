"""Captions cut into the chunks of tokens that a text encoder reads, as the WebUI cuts prompts.

A chunk holds 75 tokens between a start and an end token. It is ended early after a comma that stands near its end, so
that no tag is cut in two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

CHUNK = 75
BACKTRACK = 20  # a comma among this many last tokens ends a chunk (the WebUI's default)
BRACKET = 1.1  # what one pair of round brackets multiplies, and a pair of square ones divides by
BREAK = re.compile(r"\s*\bBREAK\b\s*")
SYMBOLS = re.compile(r"\\[\\()\[\]]|\\|[(\[\])]|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|[^\\()\[\]:]+|:")


@dataclass(frozen=True)
class Chunk:
    """Token ids with start, end and padding, and a weight for each."""

    ids: tuple[int, ...]  # 77
    weights: tuple[float, ...]  # 77


@dataclass
class _Piece:
    text: str | None  # None ends the chunk: BREAK
    weight: float = 1.0


def chunks(tokenizer: Any, caption: str, length: int, weighted: bool = False) -> list[Chunk]:
    """The chunks of a caption, of which at most ``length`` tokens are read; at least one, padded with end tokens.

    ``weighted`` reads brackets as the WebUI does in prompts; otherwise they are plain text.
    """
    pieces = weights_of(caption) if weighted else [(caption, 1.0)]
    tokens: list[tuple[int, float] | None] = []
    for text, weight in pieces:
        if text is None:
            tokens.append(None)
            continue
        ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        tokens += [(number, weight) for number in ids]
    cut = _cut(tokens[:length], tokenizer.convert_tokens_to_ids(",</w>"))
    return [_padded(chunk, tokenizer) for chunk in cut[: length // CHUNK]]


def weights_of(caption: str) -> list[tuple[str | None, float]]:
    r"""The WebUI's reading of a prompt: pieces of text with their weights, and None where ``BREAK`` ends a chunk.

    ``(a)`` weighs 1.1, ``(a:1.3)`` 1.3 and ``[a]`` 1 / 1.1; nested brackets multiply, a bracket left open reaches to
    the end, and a backslash makes a bracket plain text. Pieces of one weight are joined.
    """
    pieces: list[_Piece] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def weigh(start: int, factor: float) -> None:
        for piece in pieces[start:]:
            piece.weight *= factor

    for match in SYMBOLS.finditer(caption):
        symbol, number = match.group(0), match.group(1)
        if symbol in opened:
            opened[symbol].append(len(pieces))
        elif number is not None and opened["("]:
            weigh(opened["("].pop(), float(number))
        elif symbol == ")" and opened["("]:
            weigh(opened["("].pop(), BRACKET)
        elif symbol == "]" and opened["["]:
            weigh(opened["["].pop(), 1 / BRACKET)
        elif symbol.startswith("\\"):
            pieces.append(_Piece(symbol[1:]))
        else:
            pieces += _broken(symbol)
    for start in opened["("]:
        weigh(start, BRACKET)
    for start in opened["["]:
        weigh(start, 1 / BRACKET)
    return list(_joined(pieces))


def _broken(text: str) -> Iterator[_Piece]:
    for i, part in enumerate(BREAK.split(text)):
        if i:
            yield _Piece(None)
        yield _Piece(part)


def _joined(pieces: Sequence[_Piece]) -> Iterator[tuple[str | None, float]]:
    text: str | None = None
    weight = 1.0
    for piece in pieces:
        if piece.text is not None and text is not None and piece.weight == weight:
            text += piece.text
            continue
        if text is not None:
            yield text, weight
        if piece.text is None:
            yield None, 1.0
        text, weight = piece.text, piece.weight
    if text is not None:
        yield text, weight


def _cut(tokens: Sequence[tuple[int, float] | None], comma: int) -> list[list[tuple[int, float]]]:
    """The tokens in chunks; None ends one."""
    cut: list[list[tuple[int, float]]] = [[]]
    for token in tokens:
        if token is None:
            cut.append([])
            continue
        if len(cut[-1]) == CHUNK:
            start = CHUNK if token[0] == comma else _after_comma(cut[-1], comma)
            moved = cut[-1][start:]
            del cut[-1][start:]
            cut.append(moved)
        cut[-1].append(token)
    return cut[:-1] if len(cut) > 1 and not cut[-1] else cut


def _after_comma(chunk: Sequence[tuple[int, float]], comma: int) -> int:
    """Where the text after the chunk's last comma begins, if that is near the end; else the end."""
    near = [i for i in range(CHUNK - BACKTRACK, CHUNK) if chunk[i][0] == comma]
    return near[-1] + 1 if near else CHUNK


def _padded(tokens: Sequence[tuple[int, float]], tokenizer: Any) -> Chunk:
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    rest = CHUNK - len(tokens) + 1
    ids, weights = [number for number, _ in tokens], [weight for _, weight in tokens]
    return Chunk((start, *ids, *[end] * rest), (1.0, *weights, *[1.0] * rest))
