"""Which captions an edit is for: values that the store resolves when it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lora_trainer.captions.caption import Caption
from lora_trainer.captions.filters import matcher


@dataclass(frozen=True, slots=True)
class Everything:
    """All captions."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """Those whose tags fulfil a filter expression (see ``filters``)."""

    filter: str


@dataclass(frozen=True, slots=True)
class Listed:
    """Those of these images; an image that the folder lacks is passed over."""

    images: tuple[Path, ...]


Selection: TypeAlias = Everything | Filtered | Listed
UNTAGGED = Filtered("not *")  # the images of the frequency list's untagged row


def selected(captions: Sequence[Caption], selection: Selection) -> list[Caption]:
    """The captions that the selection means, in their order. Raises ``BadSettings`` for a filter that cannot be
    read."""
    if isinstance(selection, Filtered):
        fits = matcher(selection.filter)
        return [caption for caption in captions if fits(caption.tags)]
    if isinstance(selection, Listed):
        wanted = set(selection.images)
        return [caption for caption in captions if not wanted.isdisjoint(caption.images)]
    return list(captions)
