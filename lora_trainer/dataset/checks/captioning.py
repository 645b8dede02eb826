"""Reading caption files in whatever state they are, and guessing how many tokens a caption has."""

from __future__ import annotations

import re
from pathlib import Path

from lora_trainer.dataset.captions import BETWEEN_TAGS, caption, read_text, tags
from lora_trainer.dataset.checks.facts import Caption
from lora_trainer.errors import BadDataset

LARGEST = 64 * 1024  # bytes: no caption is longer, and a file of megabytes is not read at all
PIECES = re.compile(r"[^\W\d_]+|\d|[^\s\w]+|_")  # as CLIP's tokenizer cuts a text before it looks words up
LONG_WORD = 10  # letters: longer words are mostly two tokens
WIDE = "\u2e80"  # from here on letters are Chinese, Japanese or Korean ones, about 2 tokens each
ENCODINGS = ("gb18030", "cp932", "cp1252")  # tried in turn; the last takes nearly everything


def read(path: Path) -> Caption:
    """The caption in a file, or what is wrong with it."""
    try:
        if not path.is_file():
            return Caption(path, fault="missing")
        if path.stat().st_size > LARGEST:
            return Caption(path, fault="huge")
        return Caption(path, caption(tags(read_text(path))))
    except BadDataset as error:
        fault = "encoding" if error.key == "caption_encoding" else "unreadable"
        return Caption(path, fault=fault, reason=str(error.values.get("reason", "")))
    except OSError as error:
        return Caption(path, fault="unreadable", reason=error.strerror or str(error))


def estimated_tokens(text: str) -> int:
    """About how many of CLIP's tokens a caption has, for want of its vocabulary; rather too few than too many."""
    return sum(_tokens_of(piece) for piece in PIECES.findall(text))


def _tokens_of(piece: str) -> int:
    if piece[0] >= WIDE:
        return 2 * len(piece)
    return 2 if len(piece) > LONG_WORD else 1


def as_utf8(content: bytes) -> str:
    """The text of a file that is not UTF-8, in the encoding that fits: by its mark, by its zeros, or the first one of
    the usual ones in which it means something.

    Raises ``UnicodeDecodeError`` where none does.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    if b"\0" in content[:64]:
        return content.decode("utf-16-be" if content[:1] == b"\0" else "utf-16-le")
    for encoding in ENCODINGS[:-1]:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode(ENCODINGS[-1])


def has_tag(text: str, tag: str) -> bool:
    """Whether the caption has the tag, or a sentence in it the words; as it is written, apart from capitals."""
    return re.search(rf"(?<![\w-]){re.escape(tag.strip())}(?![\w-])", text, re.IGNORECASE) is not None


def loosely(tag: str) -> str:
    """The tag without capitals, blanks, hyphens, underscores and brackets: what people write differently."""
    return re.sub(r"[\W_]+", "", tag.casefold())


def split_tags(text: str) -> list[str]:
    """The tags as booru sites spell them: lower case, blanks instead of underscores, no escaped brackets."""
    parts = (part.replace("\\(", "(").replace("\\)", ")").replace("_", " ") for part in BETWEEN_TAGS.split(text))
    return [" ".join(part.split()).lower() for part in parts if part.strip()]
