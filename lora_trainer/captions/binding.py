"""Bind to the trigger: which tags would better go, because what they name belongs to the concept.

What a caption names is learnt as something that the prompt decides; what it passes over in silence is learnt as part of
the trigger. So a trait that is to come by itself loses its tag, and one that is to stay adjustable keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lora_trainer.captions.caption import Caption, fold
from lora_trainer.captions.counting import frequencies
from lora_trainer.captions.operations import Remove
from lora_trainer.dataset.captions import tags
from lora_trainer.language import English, translate

COMMON, FEWEST = 0.8, 3


@dataclass(frozen=True, slots=True)
class Binding:
    """The proposal to take out a tag that ``images`` of ``total`` have, a ``share`` of 0 ... 1."""

    tag: str
    images: int
    total: int
    trigger: str = ""

    @property
    def share(self) -> float:
        """How many of the images have the tag, 0 ... 1."""
        return self.images / self.total

    @property
    def operation(self) -> Remove:
        """The edit that binds, for all images."""
        return Remove((self.tag,))

    def text(self, language: str = English) -> str:
        """How common the tag is, what removing it means and what keeping it means."""
        trigger = f"“{self.trigger}”" if self.trigger else translate("captions.bind_trigger", language)
        values = {"tag": self.tag, "images": self.images, "total": self.total, "share": f"{self.share:.0%}"}
        return translate("captions.bind", language, trigger=trigger, **values)


def bindings(captions: Sequence[Caption], trigger: str = "", common: float = COMMON) -> list[Binding]:
    """The tags that at least the share ``common`` of all images have, the commonest first, without the trigger's own.

    None for fewer than three images: there, chance makes tags common.
    """
    total = sum(len(one.images) for one in captions)
    own = {fold(tag) for tag in tags(trigger)}
    rows = frequencies(captions) if total >= FEWEST else []
    return [
        Binding(row.tag, row.images, total, trigger)
        for row in rows
        if row.tag is not None and row.share >= common and fold(row.tag) not in own
    ]
