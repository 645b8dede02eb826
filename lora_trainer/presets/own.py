"""The user's own presets: a JSON file each, made to be shared, and looked at closely when read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_trainer.disk import write_whole
from lora_trainer.errors import BadSettings, Unknown
from lora_trainer.presets.composing import Preset
from lora_trainer.settings import Settings, fields, from_flat, to_flat

SETTINGS_KEY = "lora_trainer_settings"  # of a LoRA file's metadata
MARK = "lora_trainer_preset"  # the version of a preset's file
VERSION = 1
PREFIX = "own-"
LONGEST_NAME = 80  # characters
# Settings that name places on this computer, which are of no use to others and none of their business.
PATHS = ("images", "mask_dir", "reg_data_dir", "checkpoint", "out", "network_weights", "base_weights")
PERSONAL = (*PATHS, "name", "trigger", "training_comment")


def shareable(settings: Settings) -> dict[str, Any]:
    """All settings but those that name places on this computer."""
    return {name: value for name, value in to_flat(settings).items() if name not in PATHS}


def to_text(name: str, values: Mapping[str, Any]) -> str:
    """A preset as a file."""
    return json.dumps({MARK: VERSION, "name": name, "settings": dict(values)}, ensure_ascii=False, indent=2) + "\n"


def is_preset(config: object) -> bool:
    """Whether a file's content is a preset of ours."""
    return isinstance(config, dict) and MARK in config


def checked(values: object) -> dict[str, Any]:
    """The settings of a preset without personal ones, each checked and in its own kind. Raises ``BadSettings``."""
    if not isinstance(values, dict):
        raise BadSettings("preset_unreadable", reason="settings")
    kept = {str(name): value for name, value in values.items() if name not in PERSONAL}
    flat = to_flat(from_flat(kept))
    return {name: flat[name] for name in kept}


def read_text(text: str) -> tuple[str, dict[str, Any]]:
    """Name and settings of a preset's file. Raises ``BadSettings`` when it is none, or holds what cannot be."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSettings("preset_unreadable", reason=str(error)[:200]) from error
    if not is_preset(config) or not isinstance(config.get("name"), str):
        raise BadSettings("preset_unreadable", reason=MARK)
    return config["name"][:LONGEST_NAME], checked(config.get("settings"))


class OwnPresets:
    """The presets in ``folder``, each in a file that is named by its id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def list(self) -> list[Preset]:
        """All of them by name; files that cannot be read, or are another version's, are passed over."""
        found = []
        for path in sorted(self.folder.glob(f"{PREFIX}*.json")) if self.folder.is_dir() else []:
            try:
                name, values = read_text(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, BadSettings):
                continue
            found.append(Preset(id=path.stem, values=values, name=name))
        return sorted(found, key=lambda preset: preset.name)

    def save(self, name: str, values: Mapping[str, Any]) -> Preset:
        """Keep a preset; one of the same name is replaced. Raises ``BadSettings``."""
        name = " ".join(name.split())
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise BadSettings("preset_name", field="name", most=LONGEST_NAME)
        kept = checked(dict(values))
        preset = Preset(id=PREFIX + hashlib.sha256(name.encode("utf-8")).hexdigest()[:12], values=kept, name=name)
        write_whole(self._file(preset), to_text(name, kept))
        return preset

    def find(self, preset_id: str) -> Preset:
        """The preset of that id, which is compared and never joined to a path. Raises ``Unknown``."""
        preset = next((preset for preset in self.list() if preset.id == preset_id), None)
        if preset is None:
            raise Unknown("preset_unknown")
        return preset

    def delete(self, preset_id: str) -> None:
        """Remove a preset. Raises ``Unknown``."""
        self._file(self.find(preset_id)).unlink(missing_ok=True)

    def _file(self, preset: Preset) -> Path:
        return self.folder / f"{preset.id}.json"


def differing(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of ``values`` those that are not the defaults anyway."""
    return {name: value for name, value in values.items() if value != fields()[name][1].default}
