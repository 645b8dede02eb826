"""How often single images are seen: the file ``repeats.txt`` beside them, with lines like ``hat.png: 5``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lora_trainer.dataset.captions import read_text
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadDataset

FILE = "repeats.txt"
MAX_REPEATS = 1000
LINE = re.compile(r"(.+?)\s*[:：]\s*([0-9]+)")
FOLDER = re.compile(r"([0-9]+)_(.*)")


def folder_repeats(name: str) -> tuple[int, str] | None:
    """What kohya's folder names say: ``20_name class`` is seen 20 times and captioned "name class"; None for others.

    Only up to 1000 repeats, so that "2024_holiday" is no folder of 2024.
    """
    match = FOLDER.fullmatch(name)
    return (int(match[1]), match[2]) if match and 1 <= int(match[1]) <= MAX_REPEATS else None


def read_repeats(folder: Path, images: Sequence[Path]) -> dict[str, int]:
    """Repeats by file name, for the images in ``folder`` that have a number of their own instead of the folder's.

    Where an image is called ``repeats`` itself, the file is its caption. Raises ``BadDataset`` for a line of another
    form, a number outside 1 to 1000, and a name that is no image in the folder or comes twice.
    """
    file, names = folder / FILE, {image.name for image in images}
    if not file.is_file() or any(image.stem == file.stem for image in images):
        return {}
    found: dict[str, int] = {}
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        if match is None or not 1 <= int(match[2]) <= MAX_REPEATS:
            raise BadDataset(
                "repeats_malformed", field="images", file=FILE, number=number, line=line.strip(), most=MAX_REPEATS
            )
        if match[1] not in names:
            raise BadDataset("repeats_unknown", field="images", file=FILE, number=number, name=match[1], folder=folder)
        if match[1] in found:
            raise BadDataset("repeats_twice", field="images", file=FILE, number=number, name=match[1])
        found[match[1]] = int(match[2])
    return found


def set_repeats(folder: Path, numbers: Mapping[str, int | None]) -> None:
    """Give the images of these names in ``folder`` a number of their own, or with None the folder's again.

    Other lines stay as they are; a file that says nothing any more goes. Raises ``BadDataset`` and ``OSError``.
    """
    file, content = folder / FILE, numbered(folder, numbers)
    if content is None:
        file.unlink(missing_ok=True)
    elif not file.is_file() or file.read_bytes() != content:
        write_whole(file, content)


def numbered(folder: Path, numbers: Mapping[str, int | None]) -> bytes | None:
    """What ``repeats.txt`` in ``folder`` says after ``set_repeats``; None where it says nothing. Raises
    ``BadDataset``."""
    file = folder / FILE
    lines = read_text(file).splitlines() if file.is_file() else []
    kept = [line for line in lines if not (match := LINE.fullmatch(line.strip())) or match[1] not in numbers]
    added = [f"{name}: {number}" for name, number in numbers.items() if number is not None]
    if kept + added == lines and file.is_file():
        return file.read_bytes()
    return ("\n".join(kept + added) + "\n").encode() if any(line.strip() for line in kept + added) else None
