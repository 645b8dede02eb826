"""Captions as lists of tags: reading them from files, and putting the trigger first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lora_trainer.errors import BadDataset

SEPARATOR = ", "


def tags(text: str) -> list[str]:
    """The tags of a caption: parts between commas (also Chinese ones) or line ends, with single spaces inside."""
    parts = (" ".join(part.split()) for part in re.split(r"[,，\r\n]", text))
    return [part for part in parts if part]


def caption(parts: Sequence[str]) -> str:
    """The tags as one caption; the inverse of ``tags``."""
    return SEPARATOR.join(parts)


def with_trigger(text: str, trigger: str) -> str:
    """The caption with ``trigger`` as its first tag, once; a sentence that begins with the trigger is left as it is."""
    wanted, found = tags(trigger), tags(text)
    known = {tag.lower() for tag in wanted}
    rest = [tag for tag in found if tag.lower() not in known]
    if rest and rest[0] == found[0] and wanted and _starts_with_word(rest[0], caption(wanted)):
        return caption(rest)
    return caption([*wanted, *rest])


def read_caption(path: Path) -> str:
    """The caption in a UTF-8 text file. Raises ``BadDataset`` with the file's name."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDataset("caption_encoding", field="images", name=path.name) from error
    except OSError as error:
        raise BadDataset("caption_unreadable", field="images", name=path.name, reason=error.strerror) from error
    if "\0" in text:  # UTF-16 without its mark decodes as UTF-8, with zeros between the letters
        raise BadDataset("caption_encoding", field="images", name=path.name)
    return caption(tags(text))


def _starts_with_word(tag: str, word: str) -> bool:
    """Whether ``tag`` is a sentence that begins with ``word``."""
    return re.match(re.escape(word) + r"(?![\w-])", tag, re.IGNORECASE) is not None
