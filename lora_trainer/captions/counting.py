"""How often tags occur, and how many tokens captions have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.captions.caption import Caption, fold
from lora_trainer.captions.filters import quoted
from lora_trainer.captions.selection import UNTAGGED, Filtered


@dataclass(frozen=True, slots=True)
class TagCount:
    """A row of the frequency list: a tag in its commonest spelling, the images that have it and their share, 0 ... 1.

    ``tag`` None is the row of untagged images.
    """

    tag: str | None
    images: int
    share: float

    @property
    def selection(self) -> Filtered:
        """The images of this row."""
        return UNTAGGED if self.tag is None else Filtered(quoted(self.tag))


def frequencies(captions: Sequence[Caption], mark: str = "") -> list[TagCount]:
    """The untagged row, where there are such images, then all tags, the commonest first; ``mark`` is none.

    Tags that differ in case alone are one. An image whose caption has a tag twice counts once.
    """
    total = sum(len(one.images) for one in captions)
    images, spellings = Counter[str](), dict[str, Counter[str]]()
    untagged = 0
    for one in captions:
        number = len(one.images)
        found = {fold(tag): tag for tag in one.tags if tag != mark}
        untagged += 0 if found else number
        for key, tag in found.items():
            images[key] += number
            spellings.setdefault(key, Counter())[tag] += number
    ranked = sorted(images.items(), key=lambda item: (-item[1], item[0]))
    rows = [TagCount(None, untagged, untagged / total)] if untagged else []
    return rows + [TagCount(spellings[key].most_common(1)[0][0], count, count / total) for key, count in ranked]


def token_counts(captions: Sequence[Caption], count: Callable[[str], int]) -> dict[Path, int]:
    """How many tokens each image's caption has, by the tokenizer's ``count`` of a text."""
    return {image: number for one in captions for number in [count(one.text)] for image in one.images}
