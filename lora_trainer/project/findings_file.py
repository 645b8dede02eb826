"""The doctor's findings on the disk, with a mark of the set as it was: they outlive a restart."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_trainer.dataset.checks import Finding
from lora_trainer.dataset.checks.findings import KINDS, Colour
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadDataset, UserError
from lora_trainer.settings import Settings, to_flat

FILE = "doctor.json"
# The settings that a check looks at.
PLACED = ("resolution", "enable_bucket", "min_bucket_reso", "max_bucket_reso", "bucket_reso_steps", "bucket_no_upscale")
WORDED = ("caption_extension", "class_tokens", "caption_prefix", "caption_suffix", "max_token_length")
LOOKED_AT = (*PLACED, *WORDED, "trigger", "repeats", "alpha_mask", "background")


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found in ``folder`` when its files and the settings had the fingerprint ``mark``."""

    folder: str
    mark: str
    findings: tuple[Finding, ...]


def fingerprint(folder: Path, settings: Settings, goal: str) -> str:
    """Changes with every file in the folder and its sub-folders, and with the settings that a check looks at."""
    flat = to_flat(settings)
    digest = hashlib.sha256(json.dumps([goal, *(flat[name] for name in LOOKED_AT)]).encode())
    for line in sorted(_stamps(folder, inner=True)):
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def write_found(project_folder: Path, found: Found) -> None:
    """Keep the findings. Raises ``OSError``."""
    lines = [
        {
            "key": one.key,
            "severity": one.severity,
            "remedy": one.remedy,
            "images": [str(path) for path in one.images],
            "values": {name: _packed(value) for name, value in one.values.items()},
        }
        for one in found.findings
    ]
    whole = {"folder": found.folder, "mark": found.mark, "findings": lines}
    write_whole(project_folder / FILE, json.dumps(whole, ensure_ascii=True))


def read_found(project_folder: Path) -> Found | None:
    """The findings that were kept; None where there are none, or none that this version can read."""
    try:
        whole = json.loads((project_folder / FILE).read_text(encoding="utf-8"))
        return Found(str(whole["folder"]), str(whole["mark"]), tuple(_finding(one) for one in whole["findings"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _finding(one: Mapping[str, Any]) -> Finding:
    """Raises ``KeyError`` for a kind that this version does not know, which might have no sentence."""
    severity, remedy = KINDS[one["key"]]
    values = {str(name): _unpacked(value) for name, value in one["values"].items()}
    images = tuple(Path(name) for name in one["images"])
    return Finding(str(one["key"]), images, values, str(one.get("severity", severity)), str(one.get("remedy", remedy)))


def _packed(value: object) -> Any:
    """A value of a finding for JSON: errors and colours are said in the language that is asked for later."""
    if isinstance(value, UserError):
        return {"error": value.key, "values": {name: _packed(inner) for name, inner in value.values.items()}}
    if isinstance(value, Colour):
        return {"colour": value.value}
    return value if isinstance(value, str | int | float) else str(value)


def _unpacked(value: Any) -> object:
    if not isinstance(value, dict):
        return value
    if "colour" in value:
        return Colour(str(value["colour"]))
    values: dict[str, Any] = {str(name): _unpacked(inner) for name, inner in value["values"].items()}
    return BadDataset(str(value["error"]), **values)


def _stamps(folder: Path, inner: bool) -> Iterator[str]:
    """Name, size and time of each file that is not hidden; none where the folder cannot be read."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if inner and entry.is_dir():
                yield f"{entry.name}/"
                yield from (f"{entry.name}/{line}" for line in _stamps(Path(entry.path), inner=False))
            else:
                status = entry.stat(follow_symlinks=False)
                yield f"{entry.name}\0{status.st_size}\0{status.st_mtime_ns}\n"
