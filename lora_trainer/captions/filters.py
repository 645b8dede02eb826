"""Filter expressions: which captions have these tags.

``hat and not (green hat or "red, or so")``: ``and``, ``or``, ``not`` in any case, ``not`` binding closest, then
``and``; round brackets. ``*`` stands for any letters, so ``*`` alone is any tag and ``not *`` finds untagged images.
Words in a row are one tag. Quotes make a tag of what would be read otherwise: of commas, brackets, the word "and";
within them ``\\"``, ``\\*`` and ``\\\\`` are the letters themselves. Case does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from lora_trainer.captions.caption import fold
from lora_trainer.errors import BadSettings

Test: TypeAlias = Callable[[Sequence[str]], bool]

WORDS = ("and", "or", "not")
OPEN, CLOSE, QUOTES, COMMAS = "(（", ")）", '"“”', ",，"
MOST_LETTERS, MOST_DEPTH = 2000, 50


def matcher(text: str) -> Test:
    """Whether a caption's tags fulfil the filter ``text``; an empty one lets all pass. Raises ``BadSettings``."""
    if not text.strip():
        return lambda found: True
    if len(text) > MOST_LETTERS:
        raise BadSettings("filter_long", field="filter", most=MOST_LETTERS)
    reader = _Reader(text, [*_symbols(text)])
    test = reader.either()
    if (extra := reader.next()) is not None:
        reader.refuse("filter_unopened" if extra.kind == ")" else "filter_joint", extra)
    return lambda found: test([fold(tag) for tag in found])


def quoted(tag: str) -> str:
    """The filter that finds exactly this tag."""
    for letter in ("\\", '"', "*", "“", "”"):
        tag = tag.replace(letter, "\\" + letter)
    return f'"{tag}"'


@dataclass(frozen=True, slots=True)
class Pattern:
    """A tag with any letters between its ``pieces``: hand-made, as a regular expression could be made to hang."""

    pieces: tuple[str, ...]

    def fits(self, tag: str) -> bool:
        """Whether the folded tag is of this form."""
        first, *between, last = self.pieces if len(self.pieces) > 1 else (*self.pieces, "")
        if len(self.pieces) == 1:
            return tag == first
        end = len(tag) - len(last)
        if not (tag.startswith(first) and tag.endswith(last) and len(first) <= end):
            return False
        place = len(first)
        for piece in between:
            place = tag.find(piece, place, end)
            if place < 0:
                return False
            place += len(piece)
        return True


@dataclass(frozen=True, slots=True)
class _Symbol:
    """A bracket, an operator or (kind "tag") a tag, from ``place`` on; its letters, with stars as None."""

    kind: str
    place: int
    letters: tuple[str | None, ...] = ()

    @property
    def pattern(self) -> Pattern:
        pieces = [""]
        for letter in self.letters:
            pieces = [*pieces, ""] if letter is None else [*pieces[:-1], pieces[-1] + letter]
        return Pattern(tuple(fold(piece) for piece in pieces))


class _Reader:
    """Reads the symbols by recursive descent, one method a rule."""

    def __init__(self, text: str, symbols: list[_Symbol]) -> None:
        self.text, self.symbols, self.place, self.depth = text, symbols, 0, 0

    def next(self) -> _Symbol | None:
        return self.symbols[self.place] if self.place < len(self.symbols) else None

    def take(self, kind: str) -> _Symbol | None:
        """The next symbol if it is of this kind."""
        found = self.next()
        if found is None or found.kind != kind:
            return None
        self.place += 1
        return found

    def either(self) -> Test:
        tests = [self.both()]
        while self.take("or"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda found: any(test(found) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self.take("and"):
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda found: all(test(found) for test in tests)

    def one(self) -> Test:
        negated = False
        while self.take("not"):
            negated = not negated
        test = self.group() if (opened := self.take("(")) is None else self.bracket(opened)
        return (lambda found: not test(found)) if negated else test

    def bracket(self, opened: _Symbol) -> Test:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            self.refuse("filter_deep", opened)
        test = self.either()
        if not self.take(")"):
            self.refuse("filter_unclosed" if self.next() is None else "filter_joint", self.next() or opened)
        self.depth -= 1
        return test

    def group(self) -> Test:
        """One tag."""
        symbol = self.take("tag")
        if symbol is None:
            self.refuse("filter_lacks_tag", self.next())
        pattern = symbol.pattern
        return lambda found: any(pattern.fits(tag) for tag in found)

    def refuse(self, key: str, symbol: _Symbol | None) -> NoReturn:
        """Raise the error ``key``, which tells where the symbol stands; None is the end."""
        place = len(self.text) if symbol is None else symbol.place
        raise _refusal(key, self.text, place)


def _refusal(key: str, text: str, place: int) -> BadSettings:
    before = text[:place].rstrip()
    shown = ("…" if len(before) > 30 else "") + before[-30:] + "▸" + text[place : place + 30]
    return BadSettings(key, field="filter", shown=shown, position=place + 1)


def _symbols(text: str) -> Iterator[_Symbol]:
    """The symbols of ``text``; words in a row become one tag."""
    row: list[_Symbol] = []
    for symbol in _pieces(text):
        if symbol.kind == "word":
            row.append(symbol)
            continue
        yield from _joined(row)
        row = []
        yield symbol
    yield from _joined(row)


def _joined(row: Sequence[_Symbol]) -> Iterator[_Symbol]:
    """The words of ``row`` as one tag; nothing where there are none."""
    letters = [letter for word in row for letter in (" ", *word.letters)]
    if row:
        yield _Symbol("tag", row[0].place, tuple(letters[1:]))


def _pieces(text: str) -> Iterator[_Symbol]:
    """Brackets, quoted tags, operators and words, each with its place."""
    place = 0
    while place < len(text):
        letter, start = text[place], place
        if letter.isspace():
            place += 1
        elif letter in COMMAS:
            raise _refusal("filter_comma", text, place)
        elif letter in OPEN or letter in CLOSE:
            place += 1
            yield _Symbol("(" if letter in OPEN else ")", start)
        elif letter in QUOTES:
            letters, place = _quotation(text, place)
            yield _Symbol("tag", start, letters)
        else:
            place = _word_end(text, place)
            word = text[start:place]
            kind = word.lower() if word.lower() in WORDS else "word"
            yield _Symbol(kind, start, _starred(word))


def _quotation(text: str, start: int) -> tuple[tuple[str | None, ...], int]:
    """The letters between the quote at ``start`` and the next, and the place after it."""
    letters: list[str | None] = []
    place = start + 1
    while place < len(text) and text[place] not in QUOTES:
        escaped = text[place] == "\\" and text[place + 1 : place + 2] in (*QUOTES, "*", "\\")
        place += escaped
        letters.append(None if text[place] == "*" and not escaped else text[place])
        place += 1
    if place == len(text):
        raise _refusal("filter_unquoted", text, start)
    if not letters:
        raise _refusal("filter_empty_quotes", text, start)
    return tuple(letters), place + 1


def _word_end(text: str, start: int) -> int:
    """Where the word from ``start`` on ends. A bracket that follows without a space belongs to it, as in
    ``saber_(fate)``, and so does one after a backslash."""
    place, open_brackets = start, 0
    while place < len(text) and not text[place].isspace() and text[place] not in COMMAS:
        letter = text[place]
        if letter == "\\" and text[place + 1 : place + 2] not in ("", " "):
            place += 2
            continue
        if letter in OPEN and text[start:place].lower() in WORDS:
            break
        open_brackets += (letter in OPEN) - (letter in CLOSE)
        if open_brackets < 0:
            break
        place += 1
    return place


def _starred(word: str) -> tuple[str | None, ...]:
    """The letters of a word, with None for each star that has no backslash."""
    letters: list[str | None] = []
    for letter in word:
        if letter == "*" and letters[-1:] == ["\\"]:
            letters[-1] = "*"
        else:
            letters.append(None if letter == "*" else letter)
    return tuple(letters)
