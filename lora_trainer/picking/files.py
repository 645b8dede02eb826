"""The numbered LoRA files of a run (D6): how they are named, and how they are found in a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.errors import BadSettings

WIDTH = 6  # digits of an epoch number, kohya's width: none is contained in another, so search and replace is safe
SUFFIX = ".safetensors"
NUMBERED = re.compile(rf"(?P<name>.+)-(?P<epoch>[0-9]{{{WIDTH}}})")

EPOCH_MARK, WEIGHT_MARK = "NUM", "STRENGTH"  # what the X/Y/Z plot replaces in a prompt (infotext.py)
LONGEST_NAME = 200  # bytes: file systems allow 255, and the number, the suffix and a temporary ending come on top
FORBIDDEN = frozenset('<>:"/\\|?*,')  # Windows forbids all but the comma, which separates the X/Y/Z plot's values
PORTS = frozenset(f"{port}{i}" for port in ("COM", "LPT") for i in "0123456789¹²³")
DEVICES = PORTS | frozenset({"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"})


@dataclass(frozen=True)
class EpochFile:
    """The LoRA of one epoch. Not ``numbered``: kohya's last file, whose name has no number; it gets the next one."""

    epoch: int
    path: Path
    numbered: bool = True

    @property
    def lora(self) -> str:
        """The name that a prompt calls it by."""
        return self.path.stem


def epoch_tag(epoch: int, width: int = WIDTH) -> str:
    """The epoch's number as file names have it: ``000004``."""
    return f"{epoch:0{width}d}"


def lora_name(name: str, epoch: int) -> str:
    """The name of an epoch's LoRA, which is its file's stem: ``name-000004``."""
    return f"{name}-{epoch_tag(epoch)}"


def epoch_files(folder: Path, name: str | None = None) -> list[EpochFile]:
    """The epochs of the LoRA ``name`` in ``folder``, in order; without a name, of the only one that is there.

    kohya's scripts save the last epoch without a number: ``name.safetensors`` counts as the one after the highest.
    Raises ``BadSettings`` when there is none, or no name was given and there are several.
    """
    paths = [path for path in folder.iterdir() if path.suffix == SUFFIX and path.is_file()] if folder.is_dir() else []
    numbered = [(match, path) for path in paths if (match := NUMBERED.fullmatch(path.stem))]
    if name is None:
        name = _only_name(folder, sorted({match["name"] for match, _ in numbered} or {path.stem for path in paths}))
    found = [EpochFile(int(match["epoch"]), path) for match, path in numbered if match["name"] == name]
    found.sort(key=lambda file: file.epoch)
    last = [path for path in paths if path.stem == name]
    if last:
        found.append(EpochFile(found[-1].epoch + 1 if found else 1, last[0], numbered=False))
    if not found:
        raise BadSettings("epochs_none_named", field="name", name=name, folder=folder)
    return found


def _only_name(folder: Path, names: Sequence[str]) -> str:
    if not names:
        raise BadSettings("epochs_none", field="out", folder=folder)
    if len(names) > 1:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise BadSettings("epochs_several", field="name", folder=folder, names=shown)
    return names[0]


def check_name(name: str) -> None:
    """Raise ``BadSettings`` unless ``name`` works for files on every system, in a prompt and in the X/Y/Z plot."""
    if not name.strip():
        raise BadSettings("name_empty", field="name")
    if ".." in name or any(mark in name for mark in "/\\:"):
        raise BadSettings("name_path", field="name", name=name)
    if wrong := sorted({mark for mark in name if mark in FORBIDDEN or not mark.isprintable()}):
        raise BadSettings("name_characters", field="name", name=name, characters=" ".join(map(_visible, wrong)))
    if name != name.strip(" ."):
        raise BadSettings("name_edges", field="name", name=name)
    if name.split(".")[0].rstrip().upper() in DEVICES:
        raise BadSettings("name_reserved", field="name", name=name)
    if mark := next((mark for mark in (EPOCH_MARK, WEIGHT_MARK) if mark in name), None):
        raise BadSettings("name_placeholder", field="name", name=name, mark=mark)
    if len(name.encode("utf-8")) > LONGEST_NAME:
        raise BadSettings("name_long", field="name", name=f"{name[:30]}…", most=LONGEST_NAME)


def _visible(mark: str) -> str:
    """``mark`` itself, or its code where it cannot be seen."""
    return mark if mark.isprintable() else f"U+{ord(mark):04X}"
