"""Files that other programs wrote: TOML, JSON, and the header of a LoRA."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lora_trainer.errors import BadSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 8_000_000  # no config is larger
MAX_HEADER = 100_000_000  # what safetensors itself allows


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """The content of a file. Raises ``BadSettings`` when it cannot be read or has more than ``most`` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: characters that no path can have
        raise BadSettings("settings_file", name=path.name, reason=error) from error
    if len(content) > most:
        raise BadSettings("import_unknown", name=path.name)
    return content


def find(name: str, beside: Path) -> Path | None:
    """The file that a config names, from here or from its own folder; None where there is none."""
    for path in (Path(name), beside / name):
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # a name that no file can have
            continue
    return None


def is_lora(path: Path) -> bool:
    """Whether a file begins as safetensors do: the header's length in 8 bytes, then JSON."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except (OSError, ValueError) as error:
        raise BadSettings("settings_file", name=path.name, reason=error) from error
    return start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= MAX_HEADER


def parse(text: str, path: Path) -> Any:
    """TOML, or JSON where the text begins like it. Raises ``BadSettings``."""
    try:
        return (
            json.loads(text) if text.lstrip()[:1] in ("{", "[") and not _is_toml_header(text) else tomllib.loads(text)
        )
    except (ValueError, RecursionError) as error:
        raise BadSettings("settings_file", name=path.name, reason=str(error)[:200]) from error


def read_config(path: Path) -> dict[str, Any]:
    """A table from a TOML or JSON file, whatever its name ends with. Raises ``BadSettings``."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except ValueError as error:
        raise BadSettings("settings_file", name=path.name, reason=error) from error
    content = parse(text, path)
    if not isinstance(content, dict):
        raise BadSettings("import_unknown", name=path.name)
    return content


def read_metadata(path: Path) -> tuple[dict[str, str], list[str]]:
    """The metadata of a LoRA and the names of its tensors, none of which is read. Raises ``BadSettings``."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            return dict(file.metadata() or {}), list(file.keys())
    except (OSError, ValueError, SafetensorError) as error:
        raise BadSettings("lora_unreadable", name=path.name, reason=error) from error


def flat(config: dict[str, Any]) -> dict[str, Any]:
    """Sections dissolved, one level deep, as sd-scripts does."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= value if isinstance(value, dict) else {name: value}
    return found


def _is_toml_header(text: str) -> bool:
    """Whether the first line is a TOML section, which begins like a JSON list."""
    line = text.lstrip().splitlines()[0].split("#")[0].strip()
    return line.startswith("[") and line.endswith("]") and line.strip("[]").replace("_", "").replace(".", "").isalnum()
