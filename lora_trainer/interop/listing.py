"""An import as text: our own TOML, with a comment for everything that the file said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lora_trainer.interop.reading import Imported, Note, Taken
from lora_trainer.language import English, translate
from lora_trainer.settings import fields

QUIET = ("unset", "off", "as_here", "same_subset")  # reasons of which only the number is told


def to_commented_toml(imported: Imported, name: str, language: str = English) -> str:
    """What was taken as TOML for ``--config``, a section a group; what was not taken as comments above it. ``name`` is
    the file's."""
    head = [_say("head", language, kind=_say(f"kind_{imported.kind}", language), name=name)]
    head += _notes("head_differs", imported.differs, language)
    loud = [note for note in imported.ignored if note.reason not in QUIET]
    head += _notes("head_ignored", loud, language)
    if quiet := len(imported.ignored) - len(loud):
        head.append(_say("head_off", language, count=quiet))
    if silent := sorted(taken.setting for taken in imported.taken if not taken.key):
        head.append(_say("head_defaults", language, names=", ".join(silent)))
    lines = [f"# {line}".rstrip() for entry in head for line in entry.splitlines()]
    section = ""
    sources = {taken.setting: taken for taken in imported.taken}
    for setting in (name for name in fields() if name in imported.values):
        group = fields()[setting][0]
        if group != section:
            lines += ["", f"[{group}]"]
            section = group
        lines.append(
            f"{setting} = {json.dumps(imported.values[setting], ensure_ascii=False)}{_source(sources, setting)}"
        )
    return "\n".join(lines) + "\n"


def to_dict(imported: Imported, language: str = English) -> dict[str, Any]:
    """The same for programs."""

    def told(notes: Sequence[Note]) -> list[dict[str, Any]]:
        return [
            {"key": note.key, "value": note.value, "reason": note.reason, "text": note.text(language)} for note in notes
        ]

    return {
        "kind": imported.kind,
        "settings": imported.values,
        "taken": [
            {"key": taken.key, "value": taken.value, "setting": taken.setting, "becomes": taken.becomes}
            for taken in imported.taken
        ],
        "ignored": told(imported.ignored),
        "differs": told(imported.differs),
    }


def note_lines(notes: Sequence[Note], language: str = English) -> list[str]:
    """A line for each reason: the entries, their values, and the sentence."""
    entries: dict[str, list[str]] = {}
    for note in notes:
        told = entries.setdefault(note.text(language), [])
        if (entry := f"{note.key}{_value(note.value)}") not in told:
            told.append(entry)
    return [f"{', '.join(told)}: {text}" for text, told in entries.items()]


def _notes(title: str, notes: Sequence[Note], language: str) -> list[str]:
    return [_say(title, language), *(f"  {line}" for line in note_lines(notes, language))] if notes else []


def _value(value: Any) -> str:
    return "" if value in (None, "") else f" = {' '.join(str(value).split())}"


def _source(sources: dict[str, Taken], setting: str) -> str:
    taken = sources.get(setting)
    plain = taken is None or not taken.key or (taken.key == setting and str(taken.value) == str(taken.becomes))
    return "" if plain or taken is None else f"  # {taken.key}{_value(taken.value)}"


def _say(key: str, language: str, **values: object) -> str:
    return translate(f"interop.{key}", language, **values)
