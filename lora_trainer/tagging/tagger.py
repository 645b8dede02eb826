"""What every tagger answers to, and what it tells of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from PIL import Image

from lora_trainer.errors import UserError


class BadTagger(UserError):
    """A tagging model that is missing, damaged or of an unknown kind, or a tagger that does not work."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a tagger sees in one image: tags as their makers write them, each with its probability.

    A tagger without categories has everything in ``general``; one that writes sentences has its sentence there, with
    probability 1.
    """

    general: Mapping[str, float] = field(default_factory=dict)
    characters: Mapping[str, float] = field(default_factory=dict)
    ratings: Mapping[str, float] = field(default_factory=dict)

    @property
    def tags(self) -> dict[str, float]:
        """All tags but the ratings."""
        return {**self.general, **self.characters}


class Tagger(Protocol):
    """Whoever looks at images and says what is on them."""

    @property
    def name(self) -> str:
        """How it is called in lists and on the command line."""

    @property
    def writes_sentences(self) -> bool:
        """Whether its readings are sentences, which no threshold and no rule of wording applies to."""

    def tag(self, images: Sequence[Image.Image]) -> list[Reading]:
        """One reading an image, in order, with all probabilities. Raises ``BadTagger``."""

    def unload(self) -> None:
        """The tagging is over: give the model's memory back. Raises nothing. A host's tagger can be asked again and
        loads its model then; one of ours is made anew."""
