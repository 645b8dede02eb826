"""What becomes of a file's entries: each one is taken, differs here, or is ignored for a reason; none gets lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lora_trainer.errors import BadSettings
from lora_trainer.interop.convert import Unfit, as_kind_of, is_unset
from lora_trainer.language import English, translate
from lora_trainer.settings import Settings, fields, from_flat
from lora_trainer.settings.field import check_value

SECRET = ("wandb_api_key", "huggingface_token")
MAX_SHOWN = 200  # characters of a value that are kept for show


@dataclass(frozen=True, slots=True)
class Taken:
    """An entry that became a setting. ``key`` is empty where the file is silent and kohya's default was taken."""

    key: str
    value: Any
    setting: str
    becomes: Any


@dataclass(frozen=True, slots=True)
class Note:
    """An entry that was ignored or means something else here; ``reason`` selects the sentence ``interop.<reason>``."""

    key: str
    value: Any
    reason: str
    details: Mapping[str, object] = field(default_factory=dict)

    def text(self, language: str = English) -> str:
        """The reason as a sentence."""
        return translate(f"interop.{self.reason}", language, **self.details)


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file said. ``values`` fit ``lora_trainer.settings.from_flat``; every entry of the file is named in
    ``taken``, ``ignored`` or ``differs``."""

    kind: str
    values: dict[str, Any]
    taken: tuple[Taken, ...]
    ignored: tuple[Note, ...]
    differs: tuple[Note, ...]

    def settings(self) -> Settings:
        """The settings of the run; what the file does not say has its default."""
        return from_flat(self.values)


@dataclass(slots=True)
class Entry:
    """One entry of a file: the name that the file has for it, and its value."""

    key: str
    value: Any


class Reading:
    """Entries under kohya's names, from which rules take what they know. A rule that has looked at an entry settles
    it with ``take``, ``ignore`` or ``differ``; ``finish`` settles the rest."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.left: dict[str, Entry] = {}
        self.values: dict[str, Any] = {}
        self._taken: list[Taken] = []
        self._ignored: list[Note] = []
        self._differs: list[Note] = []

    @property
    def whole(self) -> bool:
        """Whether the file describes a whole run, so that kohya's defaults count where it is silent."""
        return self.kind not in ("dataset", "lora")

    def put(self, name: str, value: Any, key: str | None = None) -> None:
        """Add an entry under kohya's ``name``; a later one of the same name wins over an earlier one."""
        if before := self.left.pop(name, None):
            self._ignored.append(Note(before.key, _shown(name, before.value), "overridden", {"by": key or name}))
        if is_unset(value):
            self._ignored.append(Note(key or name, value, "unset"))
        else:
            self.left[name] = Entry(key or name, value)

    def value(self, name: str) -> Any:
        """The value of an entry, or None."""
        entry = self.left.get(name)
        return entry.value if entry else None

    def key(self, name: str) -> str:
        """What the file calls an entry."""
        entry = self.left.get(name)
        return entry.key if entry else name

    def number(self, name: str) -> float | None:
        """The entry as a number; None where there is none, and where it is no number, which is noted."""
        return self._read(name, 0.0)

    def switch(self, name: str) -> bool:
        """The entry as yes or no; no where there is none."""
        return bool(self._read(name, False))

    def text(self, name: str) -> str:
        """The entry as a text; empty where there is none."""
        return str(self._read(name, "") or "").strip()

    def texts(self, name: str) -> tuple[str, ...]:
        """The entry as a list of texts; empty where there is none."""
        return self._read(name, ()) or ()

    def take(self, name: str, setting: str, value: Any = None) -> bool:
        """Settle an entry as ``setting``, as it stands or as ``value``. False, and a note, where the setting cannot
        have that value; nothing where the entry is settled already."""
        entry = self.left.pop(name, None)
        if entry is None:
            return False
        shown = _shown(name, entry.value)
        becomes = self._checked(setting, entry.value if value is None else value)
        if isinstance(becomes, Note):
            self._ignored.append(Note(entry.key, shown, becomes.reason, becomes.details))
            return False
        self.values[setting] = becomes
        self._taken.append(Taken(entry.key, shown, setting, becomes))
        return True

    def also(self, key: str, source: Any, setting: str, value: Any) -> None:
        """Set a further setting from an entry that is settled already."""
        becomes = self._checked(setting, value)
        if isinstance(becomes, Note):
            self._ignored.append(Note(key, value, becomes.reason, becomes.details))
        else:
            self.values[setting] = becomes
            self._taken.append(Taken(key, source, setting, becomes))

    def ignore(self, name: str, reason: str, **details: object) -> None:
        """Settle an entry, if it is there, as one that has no place here."""
        if entry := self.left.pop(name, None):
            self._ignored.append(Note(entry.key, _shown(name, entry.value), reason, details))

    def differ(self, key: str, value: Any, reason: str, **details: object) -> None:
        """Note that an entry means something else here, whatever else becomes of it."""
        self._differs.append(Note(key, _shown(key, value), reason, details))

    def drop(self, key: str, value: Any, reason: str, **details: object) -> None:
        """Note something that never became an entry of its own."""
        self._ignored.append(Note(key, _shown(key, value), reason, details))

    def default(self, setting: str, value: Any) -> None:
        """Kohya's default, where the file did not set ``setting``."""
        if setting not in self.values:
            self.values[setting] = value
            self._taken.append(Taken("", None, setting, value))

    def finish(self) -> Imported:
        """The result; entries that no rule has settled are noted as unknown."""
        for name in list(self.left):
            self.ignore(name, "unknown")
        return Imported(self.kind, self.values, tuple(self._taken), tuple(self._ignored), tuple(self._differs))

    def _read(self, name: str, default: Any) -> Any:
        entry = self.left.get(name)
        if entry is None:
            return None
        try:
            return as_kind_of(default, entry.value)
        except Unfit as error:
            self.ignore(name, f"wanted_{error}")
            return None

    def _checked(self, setting: str, value: Any) -> Any:
        """``value`` as ``setting`` wants it, or a note that says why it cannot be."""
        definition = fields()[setting][1]
        try:
            becomes = as_kind_of(definition.default, value)
            check_value(definition, becomes)
        except Unfit as error:
            return Note("", None, f"wanted_{error}")
        except BadSettings as error:
            kept: dict[str, object] = {
                key: error.values[key] for key in ("low", "high", "choices") if key in error.values
            }
            return Note("", None, error.key, {**kept, "setting": setting})
        return becomes


def _shown(name: str, value: Any) -> Any:
    """A value as it may be shown: passwords are not, and nothing is endless."""
    if any(name.endswith(secret) for secret in SECRET):
        return "…"
    if isinstance(value, (bool, float)) or value is None or (isinstance(value, int) and abs(value) < 1e15):
        return value
    if isinstance(value, int):
        return float("inf") if value.bit_length() > 1000 else float(value)
    text = str(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
