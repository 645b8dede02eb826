"""How often single images are seen: the file ``repeats.txt`` beside them, with lines like ``hat.png: 5``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lora_trainer.dataset.captions import read_text
from lora_trainer.errors import BadDataset

FILE = "repeats.txt"
MAX_REPEATS = 1000
LINE = re.compile(r"(.+?)\s*[:：]\s*([0-9]+)")


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
