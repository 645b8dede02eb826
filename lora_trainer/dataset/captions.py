"""Captions as lists of tags: reading them from files, putting the trigger first, and the versions that are learnt."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.dataset.chance import generator, shuffled
from lora_trainer.dataset.pictures import SUFFIXES
from lora_trainer.errors import BadDataset, BadSettings
from lora_trainer.settings import CaptionSettings

SEPARATOR = ", "
BETWEEN_TAGS = re.compile(r"[,，\r\n]")


@dataclass(frozen=True, slots=True)
class Wording:
    """The tags of a caption: those that keep their place in front, those that may move or be left out, and the end."""

    fixed: tuple[str, ...] = ()
    flexible: tuple[str, ...] = ()
    ending: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole caption, in the order in which it was written."""
        return caption([*self.fixed, *self.flexible, *self.ending])


def tags(text: str) -> list[str]:
    """The tags of a caption: parts between commas (also Chinese ones) or line ends, with single spaces inside."""
    parts = (" ".join(part.split()) for part in BETWEEN_TAGS.split(text))
    return [part for part in parts if part]


def caption(parts: Sequence[str]) -> str:
    """The tags as one caption; the inverse of ``tags``."""
    return SEPARATOR.join(parts)


def with_trigger(text: str, trigger: str, prefix: str = "", suffix: str = "") -> str:
    """The caption with ``trigger`` as its first tag, once; a sentence that begins with the trigger is left as it is.

    ``prefix`` and ``suffix`` stand around the rest, with a space between, as with kohya's ``caption_prefix``: a comma
    in them begins a new tag.
    """
    wanted, found = tags(trigger), tags(text)
    known = {tag.lower() for tag in wanted}
    rest = [tag for tag in found if tag.lower() not in known]
    framed = [tag for tag in tags(f"{prefix} {caption(rest)} {suffix}") if tag.lower() not in known]
    if framed and rest[:1] == found[:1] and wanted and _starts_with_word(framed[0], caption(wanted)):
        return caption(framed)
    return caption([*wanted, *framed])


def worded(text: str, trigger: str, settings: CaptionSettings) -> Wording:
    """The caption ``text`` after prefix, suffix and trigger, divided as kohya's scripts do.

    Up to the first ``keep_tokens_separator`` tags are fixed, from the second on they are the fixed end; the marks
    themselves are taken out, also where nothing is shuffled. Without a mark the first ``keep_tokens`` are fixed. The
    trigger always is.
    """
    mark = " ".join(settings.keep_tokens_separator.split())
    framed = with_trigger(
        _apart(text, mark), trigger, _apart(settings.caption_prefix, mark), _apart(settings.caption_suffix, mark)
    )
    found = tags(_apart(framed, mark))
    if mark not in found:
        kept = max(settings.keep_tokens, len(tags(trigger)))
        return Wording(tuple(found[:kept]), tuple(found[kept:]))
    first = found.index(mark)
    second = found.index(mark, first + 1) if found.count(mark) > 1 else len(found)
    ending = tuple(tag for tag in found[second:] if tag != mark)
    return Wording(tuple(found[:first]), tuple(found[first + 1 : second]), ending)


def variants(wording: Wording, settings: CaptionSettings, seed: int) -> tuple[str, ...]:
    """The versions of a caption that are shown: shuffled, then shortened, ``caption_variants`` of them.

    Only flexible tags are moved and dropped, each with probability ``caption_tag_dropout_rate``. Where neither is
    asked for, the caption itself is the only version. The same for the same seed.
    """
    if not (settings.shuffle_caption or settings.caption_tag_dropout_rate):
        return (wording.text,)
    numbers = range(settings.caption_variants)
    return tuple(_version(wording, settings, generator(seed, "caption", wording.text, number)) for number in numbers)


def read_caption(path: Path) -> str:
    """The caption in a UTF-8 text file. Raises ``BadDataset`` with the file's name."""
    return caption(tags(read_text(path)))


def read_text(path: Path) -> str:
    """What a UTF-8 text file says. Raises ``BadDataset`` with the file's name."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadDataset("caption_unreadable", field="images", name=path.name, reason=error.strerror) from error
    return decoded(content, path.name)


def decoded(content: bytes, name: str) -> str:
    """What the UTF-8 text file ``name`` says that holds ``content``. Raises ``BadDataset``."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDataset("caption_encoding", field="images", name=name) from error
    if "\0" in text:  # UTF-16 without its mark decodes as UTF-8, with zeros between the letters
        raise BadDataset("caption_encoding", field="images", name=name)
    return text


def divided(text: str, mark: str) -> list[str]:
    """The tags of a caption, with every ``mark`` (``keep_tokens_separator``; may be empty) as a tag of its own."""
    return tags(_apart(text, " ".join(mark.split())))


def check_captions(settings: CaptionSettings) -> None:
    """Raises ``BadSettings`` for settings with which captions cannot be read or divided."""
    extension, mark = settings.caption_extension.strip(), settings.keep_tokens_separator
    if not re.fullmatch(r"\.?[^\s./\\][^/\\]*", extension) or caption_ending(settings).lower() in SUFFIXES:
        raise BadSettings("caption_extension", field="caption_extension", value=settings.caption_extension)
    if mark and (not mark.strip() or BETWEEN_TAGS.search(mark)):
        raise BadSettings("keep_tokens_separator", field="keep_tokens_separator", value=mark)


def caption_ending(settings: CaptionSettings) -> str:
    """``caption_extension`` with its dot, which kohya's scripts demand and people leave out."""
    return "." + settings.caption_extension.strip().removeprefix(".")


def _version(wording: Wording, settings: CaptionSettings, chance: random.Random) -> str:
    """One version of a caption: kohya's order is to shuffle first and to drop then."""
    flexible = shuffled(wording.flexible, chance) if settings.shuffle_caption else list(wording.flexible)
    kept = [tag for tag in flexible if chance.random() >= settings.caption_tag_dropout_rate]
    return caption([*wording.fixed, *kept, *wording.ending])


def _apart(text: str, mark: str) -> str:
    """``text`` with every mark as a tag of its own."""
    return text.replace(mark, f",{mark},") if mark else text


def _starts_with_word(tag: str, word: str) -> bool:
    """Whether ``tag`` is a sentence that begins with ``word``."""
    return re.match(re.escape(word) + r"(?![\w-])", tag, re.IGNORECASE) is not None
