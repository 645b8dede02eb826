"""Keeping the chosen epochs only: the other files go into a trash folder beside them, not away.

The WebUI lists every ``.safetensors`` below its LoRA folder, so the files there have another ending.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.disk import write_whole
from lora_trainer.errors import BadSettings, UserError
from lora_trainer.language import English, translate

FOLDER, ENDING, NOTE = "lora_trainer_trash", ".trashed", "README.txt"
CARD = (".json", ".png", ".preview.png")  # what the WebUI has beside a file


@dataclass(frozen=True)
class Moved:
    """Files that were moved, of which ``left`` were not, their size in bytes, and where the others are now."""

    count: int
    size: int
    folder: Path
    left: int = 0


def trash_of(run_id: str, loras: Path) -> Path:
    """The trash folder of a run whose files lie in ``loras``."""
    return loras / FOLDER / run_id


def keep(run_id: str, files: Mapping[int, Path], kept: Collection[int], language: str = English) -> Moved:
    """Put the files of all epochs but ``kept`` away, with what lies beside them. Raises ``BadSettings`` when no file
    would be left, and ``UserError`` where one cannot be moved."""
    there = {epoch: path for epoch, path in files.items() if path.is_file()}
    if there and not set(kept) & set(there):
        raise BadSettings("keep_none", field="epochs")
    going = [path for epoch, path in there.items() if epoch not in kept]
    if not going:
        return Moved(0, 0, Path())
    folder, size = trash_of(run_id, going[0].parent), sum(path.stat().st_size for path in going)
    with _moving(folder):
        note = translate("results.note", language, run=run_id, folder=going[0].parent, ending=ENDING)
        write_whole(folder / NOTE, note)
        for path in going:
            for part in (path, *_beside(path)):
                part.replace(folder / f"{part.name}{ENDING}")
    return Moved(len(going), size, folder)


def restore(run_id: str, loras: Path) -> Moved:
    """Bring the files of a run back; one whose name is taken meanwhile stays. Raises ``UserError`` as ``keep``."""
    folder = trash_of(run_id, loras)
    waiting = trashed(run_id, loras)
    size = left = 0
    with _moving(loras):
        for path in sorted(folder.glob(f"*{ENDING}")):
            back = loras / path.name.removesuffix(ENDING)
            if back.exists():
                left += path in waiting
                continue
            size += path.stat().st_size if path in waiting else 0
            path.replace(back)
        if waiting and not left:
            _sweep(folder)
    return Moved(len(waiting) - left, size, loras, left)


def trashed(run_id: str, loras: Path) -> list[Path]:
    """The LoRA files of a run that lie in its trash folder."""
    return sorted(trash_of(run_id, loras).glob(f"*.safetensors{ENDING}"))


def _beside(path: Path) -> Iterator[Path]:
    for ending in CARD:
        card = path.with_suffix(ending)
        if card.is_file():
            yield card


def _sweep(folder: Path) -> None:
    """Remove the folder when nothing but our note is in it, and the one above when that is empty."""
    if {entry.name for entry in folder.iterdir()} <= {NOTE}:
        (folder / NOTE).unlink(missing_ok=True)
        folder.rmdir()
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()


@contextmanager
def _moving(folder: Path) -> Iterator[None]:
    """Where the disk refuses something within, a ``UserError``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError("out_unwritable", field="out", folder=folder, reason=reason) from error
