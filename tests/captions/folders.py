"""Folders of captions for the tests. No image is ever opened, so an empty file will do for one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lora_trainer.captions.caption import Caption, Kept, parts
from lora_trainer.captions.operations import Operation
from lora_trainer.captions.store import CaptionStore
from lora_trainer.dataset.captions import tags


def fill(folder: Path, captions: Mapping[str, str | bytes | None]) -> CaptionStore:
    """A store over images with these stems (sub-folders too) and captions; None is no file."""
    for stem, text in captions.items():
        image = folder / f"{stem}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
        if text is not None:
            image.with_name(f"{image.stem}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return CaptionStore(folder)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every visible file below the folder, with its bytes."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(".lora_trainer/")}


def edited(operation: Operation, text: str, kept: Kept | None = None, mark: str = "") -> str:
    """What the operation makes of one caption, without any file."""
    caption = Caption(Path("a.txt"), (Path("a.png"),), tuple(tags(text)), b"")
    split = parts(caption.tags, kept or Kept(), mark)
    return ", ".join([*split.head, *operation.editor([caption])(caption, split), *split.ending])
