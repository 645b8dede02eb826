"""A run described by one file: TOML for people, ``run.json`` for programs; either turns back into the same settings."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lora_trainer.errors import BadSettings
from lora_trainer.settings import Settings, fields, from_flat, help_texts, to_flat

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_values(path: Path) -> dict[str, Any]:
    """``{name: value}`` of a TOML file (with or without sections) or a ``run.json``. Raises ``BadSettings`` when it
    cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:  # both parsers' errors are ValueErrors, as is wrong UTF-8
        raise BadSettings("settings_file", name=path.name, reason=error) from error
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat


def read_settings(path: Path) -> Settings:
    """The settings in a file; what it leaves out has its default. Raises ``BadSettings``."""
    return from_flat(read_values(path))


def to_toml(settings: Settings) -> str:
    """All settings as TOML, a section a group, each under its documented line."""
    lines: list[str] = []
    section = ""
    for name, value in to_flat(settings).items():
        group = fields()[name][0]
        if group != section:
            lines += ["", f"[{group}]"] if lines else [f"[{group}]"]
            section = group
        # A JSON string, number, boolean or list of them is TOML too.
        lines += [f"# {help_texts()[name]}", f"{name} = {json.dumps(value, ensure_ascii=False)}"]
    return "\n".join(lines) + "\n"
