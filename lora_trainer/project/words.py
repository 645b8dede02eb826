"""Sentences that are kept until somebody asks for them in a language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lora_trainer.language import English, texts, translate


class Sayable(Protocol):
    """What can be said in any language: ``Words``, a ``UserError``, a bench ``Noted``, a caption ``Change``."""

    def text(self, language: str = English) -> str: ...


@dataclass(frozen=True, slots=True)
class Words:
    """The text of ``key`` with its ``values``; a value that is itself sayable is said in the same language."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self, language: str = English) -> str:
        """The sentence in ``language`` (``"en"`` or ``"zh"``)."""
        said = {name: value.text(language) if hasattr(value, "text") else value for name, value in self.values.items()}
        return translate(self.key, language, **said)


def known(key: str) -> bool:
    """Whether there is such a text: a file of another version may name one that this version does not have."""
    return key in texts(English)
