"""What the doctor finds: a key, the images, and the sentences that say what, why it matters and what helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lora_trainer.errors import UserError
from lora_trainer.language import English, texts, translate

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)  # the training refuses the set; learns worse from it; it is good to know

# Every kind of finding: how bad it is, and what mends it at one click ("" where only the user can).
KINDS: dict[str, tuple[str, str]] = {
    "no_images": (ERROR, ""),
    "empty_file": (ERROR, "set_aside"),
    "unreadable": (ERROR, "set_aside"),
    "too_large": (ERROR, "set_aside"),
    "no_bucket": (ERROR, "set_aside"),
    "caption_encoding": (ERROR, "reencode"),
    "caption_unreadable": (ERROR, "set_aside_captions"),
    "refused": (ERROR, ""),
    "broken_link": (WARNING, "set_aside"),
    "folder_loop": (WARNING, "set_aside"),
    "folder_ignored": (WARNING, "count_folder"),
    "duplicates": (WARNING, "set_aside_rest"),
    "near_duplicates": (WARNING, "set_aside_rest"),
    "crop": (WARNING, "set_aside_rest"),
    "blurred": (WARNING, "set_aside"),
    "too_small": (WARNING, "set_aside"),
    "extreme_aspect": (WARNING, "set_aside"),
    "transparent": (WARNING, "fill"),
    "caption_missing": (WARNING, "write_captions"),
    "caption_empty": (WARNING, "write_captions"),
    "caption_long": (WARNING, "shorten"),
    "caption_huge": (WARNING, "set_aside_captions"),
    "trigger_variant": (WARNING, "unify_trigger"),
    "contradiction": (WARNING, "drop_contradictions"),
    "not_monochrome": (WARNING, "drop_monochrome"),
    "marks": (WARNING, "set_aside"),
    "too_few": (WARNING, ""),
    "trigger_missing": (NOTE, "add_trigger"),
    "outlier": (NOTE, ""),
    "lone_bucket": (NOTE, "set_aside"),
    "imbalance": (NOTE, "balance"),
}


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour in a sentence: by its name where it has one, else as ``#rrggbb``."""

    value: str

    def text(self, language: str = English) -> str:
        """The name in ``language``."""
        key = f"colour.{self.value}"
        return translate(key, language) if key in texts(English) else self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know of ``images`` (files, or folders where it is about these).

    Of pictures that show the same, the first is the one to keep. ``values`` fill the sentences. All texts are plain
    text: what they quote from captions and messages is to be escaped where they are shown as HTML.
    """

    key: str
    images: tuple[Path, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    severity: str = WARNING
    remedy: str = ""

    def what(self, language: str = English) -> str:
        """One sentence: what was found."""
        return self._text(f"finding.{self.key}", language)

    def why(self, language: str = English) -> str:
        """Why it matters."""
        return self._text(f"finding.{self.key}.why", language)

    def help(self, language: str = English) -> str:
        """What helps: the words on the button of the remedy, or what only the user can do."""
        return self._text(f"remedy.{self.remedy}" if self.remedy else f"finding.{self.key}.help", language)

    def _text(self, key: str, language: str) -> str:
        values = {name: _said(value, language) for name, value in self.values.items()}
        return translate(key, language, count=len(self.images), **values)


def found(key: str, images: tuple[Path, ...] | list[Path] = (), **values: object) -> Finding:
    """The finding of this kind."""
    severity, remedy = KINDS[key]
    return Finding(key, tuple(images), values, severity, remedy)


def to_dict(finding: Finding, language: str) -> dict[str, Any]:
    """The finding for JSON."""
    return {
        "key": finding.key,
        "severity": finding.severity,
        "images": [str(path) for path in finding.images],
        "what": finding.what(language),
        "why": finding.why(language),
        "remedy": finding.remedy,
        "help": finding.help(language),
    }


def _said(value: object, language: str) -> object:
    return value.text(language) if isinstance(value, UserError | Colour) else value
