"""From what a tagger sees to the tags of a caption, and how they join those that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from lora_trainer.captions.caption import fold
from lora_trainer.dataset.captions import BETWEEN_TAGS, tags
from lora_trainer.errors import BadSettings
from lora_trainer.tagging.tagger import Reading

# Faces made of signs, in which an underscore is a mouth.
FACES = "0_0 (o)_(o) +_+ +_- ._. <o>_<o> <|>_<|> =_= >_< 3_3 6_9 >_o @_@ ^_^ o_o u_u x_x |_| ||_||"
KAOMOJI = frozenset(FACES.split())
ORDERS = ("probability", "alphabetical")


class Mode(str, Enum):
    """What becomes of the caption that an image has already."""

    Missing = "missing"  # it stays, and the image is not looked at
    Overwrite = "overwrite"
    Append = "append"
    Prepend = "prepend"


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How tags are written.

    ``blacklist``: tags never written; case, underscores and brackets' backslashes do not count. ``spaces``: underscores
    become spaces, except in kaomoji. ``escape``: a backslash before brackets, for programs that read captions as
    weighted prompts; training reads them as plain text unless told otherwise, so it is off. ``order``:
    ``"probability"`` or ``"alphabetical"``, and with ``characters_first`` characters before everything else.
    ``maximum``: at most so many tags, the most probable; 0 for all. Raises ``BadSettings``.
    """

    blacklist: tuple[str, ...] = ()
    spaces: bool = True
    escape: bool = False
    order: str = "probability"
    characters_first: bool = True
    maximum: int = 0

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise BadSettings("tag_order", field="order", value=self.order, known=", ".join(ORDERS))
        if self.maximum < 0:
            raise BadSettings("tag_maximum", field="maximum", value=self.maximum)


def blacklist(text: str) -> tuple[str, ...]:
    """The tags in a text that a user typed: between commas or line ends."""
    return tuple(tags(text))


def same(tag: str) -> str:
    """What makes two tags the same, whoever wrote them: underscores are spaces."""
    return fold(tag).replace("_", " ")


def worded(reading: Reading, style: Style) -> list[str]:
    """The caption's tags for what has been found probable: no tag twice, the rating last."""
    never = {same(tag) for tag in style.blacklist}
    found = {**reading.general, **reading.characters}
    wanted = [tag for tag in found if same(tag) not in never]
    wanted.sort(key=lambda tag: -found[tag])
    chosen = wanted[: style.maximum] if style.maximum else wanted
    written = {tag: _written(tag, style) for tag in chosen}
    if style.order == "alphabetical":
        chosen.sort(key=lambda tag: (written[tag].casefold(), written[tag]))
    if style.characters_first:
        chosen.sort(key=lambda tag: tag not in reading.characters)
    ratings = [_written(tag, style) for tag in reading.ratings if same(tag) not in never]
    return distinct([*(written[tag] for tag in chosen), *ratings])


def joined(existing: Sequence[str], found: Sequence[str], mode: Mode) -> list[str]:
    """The caption's tags after tagging. What is added is only what the caption does not say already."""
    if mode is Mode.Overwrite or not existing:
        return distinct(found)
    if mode is Mode.Missing:
        return list(existing)
    known = {same(tag) for tag in existing}
    new = [tag for tag in distinct(found) if same(tag) not in known]
    return [*existing, *new] if mode is Mode.Append else [*new, *existing]


def distinct(found: Iterable[str]) -> list[str]:
    """The tags without repetitions; the first of a kind stays."""
    first: dict[str, str] = {}
    for tag in found:
        first.setdefault(same(tag), tag)
    return [*first.values()]


def _written(tag: str, style: Style) -> str:
    """One tag as a caption has it; a comma or line end inside would make two of it."""
    text = " ".join(BETWEEN_TAGS.sub(" ", tag).split())
    if style.spaces and text not in KAOMOJI:
        text = " ".join(text.replace("_", " ").split())
    if style.escape:
        for sign in ("\\", "(", ")"):
            text = text.replace(sign, "\\" + sign)
    return text
