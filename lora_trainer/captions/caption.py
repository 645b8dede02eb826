"""One caption as it is edited: its file's tags, what of them is kept out of an edit, and the file's new bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.dataset.captions import caption, tags

BOM = b"\xef\xbb\xbf"
ESCAPED_BRACKET = re.compile(r"\\([()\[\]])")


@dataclass(frozen=True, slots=True)
class Caption:
    """The caption in ``file``, of one image or of several with the same stem.

    ``content`` is the file as it was read, None where there is none; the images are then learnt with ``words``, their
    folder's, but count as untagged.
    """

    file: Path
    images: tuple[Path, ...]
    tags: tuple[str, ...]
    content: bytes | None
    words: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The tags as one line."""
        return caption(self.tags)


@dataclass(frozen=True, slots=True)
class Kept:
    """What an edit leaves alone: the trigger's tags wherever they stand, and the first ``count`` tags.

    Where either is given, also what ``keep_tokens_separator`` marks as fixed.
    """

    trigger: str = ""
    count: int = 0

    def __bool__(self) -> bool:
        return bool(self.trigger.strip() or self.count)


@dataclass(frozen=True, slots=True)
class Parts:
    """A caption divided for an edit: ``head`` and ``ending`` are kept, ``free`` is what it may change.

    ``guarded`` are the folded tags that it may move but neither take out nor reword; ``marks`` are those of them that
    stay where they are, as ``keep_tokens_separator`` must.
    """

    head: tuple[str, ...]
    free: tuple[str, ...]
    ending: tuple[str, ...]
    guarded: frozenset[str]
    marks: frozenset[str]


def fold(tag: str) -> str:
    """What makes two tags the same: neither case nor the backslashes before brackets count."""
    return (ESCAPED_BRACKET.sub(r"\1", tag) if "\\" in tag else tag).casefold()


def parts(found: Sequence[str], kept: Kept, mark: str = "") -> Parts:
    """The tags ``found``, divided; ``mark`` is ``keep_tokens_separator``, which no edit takes out."""
    trigger = {fold(tag) for tag in tags(kept.trigger)}
    fixed = frozenset({fold(mark)} if mark else ())
    guarded = fixed | trigger
    if not kept:
        return Parts((), tuple(found), (), guarded, fixed)
    first = next((place for place, tag in enumerate(found) if fold(tag) not in trigger), len(found))
    marks = [place for place, tag in enumerate(found) if mark and tag == mark]
    start = max([first, kept.count, *(place + 1 for place in marks[:1])])
    end = max(start, marks[1]) if len(marks) > 1 else len(found)
    return Parts(tuple(found[:start]), tuple(found[start:end]), tuple(found[end:]), guarded, fixed)


def written(found: Sequence[str], old: bytes | None) -> bytes:
    """The file with these tags: one line, with the byte order mark and the last line end that ``old`` had."""
    if old is None:
        return f"{caption(found)}\n".encode()
    end = re.search(rb"(\r\n|\n|\r)?\Z", old)
    return (BOM if old.startswith(BOM) else b"") + caption(found).encode() + (end[0] if end else b"")
