"""What happens while models are fetched and images are tagged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lora_trainer.errors import UserError
from lora_trainer.events import Event
from lora_trainer.language import English, translate


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetching(Event):
    """``done`` of ``total`` bytes of a model are there; ``file`` is on its way."""

    file: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Noticed(Event):
    """Something that the user may want to know, and that stops nothing."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)

    def text(self, language: str = English) -> str:
        """The sentence in ``language``."""
        return translate(f"tagging.{self.key}", language, **self.values)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tagged(Event):
    """An image has been looked at: these are its caption's tags now, which were written if ``written``."""

    image: Path
    tags: tuple[str, ...]
    written: bool
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PassedOver(Event):
    """An image was left as it was: why, or None where it has a caption already and only missing ones were wanted."""

    image: Path
    why: UserError | None
    done: int
    total: int
