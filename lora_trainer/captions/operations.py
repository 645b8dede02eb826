"""What can be done to captions. Each operation is a value; ``editor`` makes of it a function from parts to free tags.

Which tags are kept out of it is said by ``Kept``, once for all operations (see ``caption.parts``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from lora_trainer.captions.caption import Caption, Parts, fold
from lora_trainer.captions.patterns import replaced
from lora_trainer.dataset.captions import caption, tags

Editor: TypeAlias = Callable[[Caption, Parts], Sequence[str]]


class Operation(Protocol):
    """Something to do to captions."""

    @property
    def title(self) -> tuple[str, dict[str, str]]:
        """The key of the text that names it in the history, and the values that fill it."""

    def editor(self, captions: Sequence[Caption]) -> Editor:
        """The function that gives a caption's new free tags; ``captions`` are all that it will be asked for.

        Raises ``BadSettings`` where the operation cannot work.
        """


@dataclass(frozen=True, slots=True)
class Add:
    """Add tags in front (``at`` 0), after the first ``at`` tags or, with None, at the end.

    Tags that a caption has already stay where they are, or with ``move`` come to the new place.
    """

    words: str
    at: int | None = 0
    move: bool = False

    @property
    def title(self) -> tuple[str, dict[str, str]]:
        return "captions.did_add", {"tags": self.words}

    def editor(self, captions: Sequence[Caption]) -> Editor:
        wanted = list({fold(tag): tag for tag in reversed(tags(self.words))}.values())[::-1]

        def edit(_: Caption, parts: Parts) -> list[str]:
            settled = {fold(tag) for tag in (*parts.head, *parts.ending, *(() if self.move else parts.free))}
            new = [tag for tag in wanted if fold(tag) not in settled]
            moved = {fold(tag) for tag in new}
            free = [tag for tag in parts.free if fold(tag) not in moved]
            place = len(free) if self.at is None else max(0, self.at - len(parts.head))
            return [*free[:place], *new, *free[place:]]

        return edit


@dataclass(frozen=True, slots=True)
class Remove:
    """Take these tags out."""

    words: tuple[str, ...]

    @property
    def title(self) -> tuple[str, dict[str, str]]:
        return "captions.did_remove", {"tags": caption(self.words)}

    def editor(self, captions: Sequence[Caption]) -> Editor:
        unwanted = {fold(tag) for tag in self.words}
        return lambda _, parts: [tag for tag in parts.free if fold(tag) not in unwanted - parts.guarded]


@dataclass(frozen=True, slots=True)
class Replace:
    """Put ``new`` (a tag, several, or nothing) for the tag ``old``, or with ``inside`` for these letters in any tag.

    A tag that a caption would then have twice it has once.
    """

    old: str
    new: str
    inside: bool = False

    @property
    def title(self) -> tuple[str, dict[str, str]]:
        return "captions.did_replace", {"old": self.old, "new": self.new}

    def editor(self, captions: Sequence[Caption]) -> Editor:
        if not self.old:
            return lambda _, parts: parts.free
        if self.inside:
            letters = re.compile(re.escape(self.old), re.IGNORECASE)
            return _reworded(lambda tag: letters.sub(lambda _: self.new, tag))
        wanted = fold(" ".join(self.old.split()))
        return _reworded(lambda tag: self.new if fold(tag) == wanted else tag)


@dataclass(frozen=True, slots=True)
class ReplacePattern:
    r"""Put ``new`` for what the regular expression ``pattern`` finds in each tag; ``\1`` and ``\g<name>`` are its
    groups. Case counts unless ``ignore_case``."""

    pattern: str
    new: str
    ignore_case: bool = False

    @property
    def title(self) -> tuple[str, dict[str, str]]:
        return "captions.did_replace", {"old": self.pattern, "new": self.new}

    def editor(self, captions: Sequence[Caption]) -> Editor:
        every = {tag for caption in captions for tag in (*caption.tags, *caption.words)}
        table = replaced(self.pattern, self.new, every, self.ignore_case)
        return _reworded(lambda tag: table.get(tag, tag))


@dataclass(frozen=True, slots=True)
class Deduplicate:
    """Leave each tag once, where it stands first."""

    @property
    def title(self) -> tuple[str, dict[str, str]]:
        return "captions.did_deduplicate", {}

    def editor(self, captions: Sequence[Caption]) -> Editor:
        def edit(_: Caption, parts: Parts) -> list[str]:
            seen = {fold(tag) for tag in (*parts.head, *parts.ending)} - parts.marks
            free = []
            for tag in parts.free:
                if fold(tag) in parts.marks or fold(tag) not in seen:
                    free.append(tag)
                    seen.add(fold(tag))
            return free

        return edit


@dataclass(frozen=True, slots=True)
class Sort:
    """Put the tags in alphabetical order, or the commonest among the edited captions first."""

    by_frequency: bool = False

    @property
    def title(self) -> tuple[str, dict[str, str]]:
        return "captions.did_sort", {}

    def editor(self, captions: Sequence[Caption]) -> Editor:
        counts = Counter(fold(tag) for caption in captions for tag in {*caption.tags} if self.by_frequency)

        def edit(_: Caption, parts: Parts) -> list[str]:
            free: list[str] = []
            run: list[str] = []
            for tag in parts.free:
                if fold(tag) in parts.marks:
                    free, run = [*free, *sorted(run, key=rank), tag], []
                else:
                    run.append(tag)
            return [*free, *sorted(run, key=rank)]

        def rank(tag: str) -> tuple[int, str, str]:
            return -counts[fold(tag)], fold(tag), tag

        return edit


@dataclass(frozen=True, slots=True)
class SetCaptions:
    """Give images the captions written out here, as an editor or a tagger does; other images stay as they are."""

    texts: Mapping[Path, str] = field(hash=False)

    @property
    def title(self) -> tuple[str, dict[str, str]]:
        return "captions.did_set", {}

    def editor(self, captions: Sequence[Caption]) -> Editor:
        def edit(caption: Caption, parts: Parts) -> Sequence[str]:
            text = next((self.texts[image] for image in caption.images if image in self.texts), None)
            if text is None:
                return parts.free
            new = tags(text)
            told = {fold(tag) for tag in new} | parts.marks
            lost = [tag for tag in parts.free if fold(tag) in parts.guarded - told]
            settled = {fold(tag) for tag in (*parts.head, *parts.ending)}
            return [*lost, *(tag for tag in new if fold(tag) not in settled)]

        return edit


def _reworded(reword: Callable[[str], str]) -> Editor:
    """An editor that rewords tags one by one; a reworded tag that the caption has already is left out."""

    def edit(_: Caption, parts: Parts) -> list[str]:
        kept = parts.guarded  # mostly empty, and folding takes time
        new = [tag if kept and fold(tag) in kept else reword(tag) for tag in parts.free]
        if new == list(parts.free):
            return new
        same = [tag for tag, old in zip(new, parts.free, strict=True) if tag == old]
        settled = {fold(tag) for tag in (*parts.head, *same, *parts.ending)}
        free: list[str] = []
        for tag, old in zip(new, parts.free, strict=True):
            free += [tag] if tag == old else _fresh(tags(tag), settled)
        return free

    return edit


def _fresh(found: Iterable[str], settled: set[str]) -> list[str]:
    """Those that are not yet in ``settled``, which learns them."""
    fresh = []
    for tag in found:
        if fold(tag) not in settled:
            settled.add(fold(tag))
            fresh.append(tag)
    return fresh
