"""Where a run's LoRA files go, and whether they can be written there."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from lora_trainer.errors import BadSettings
from lora_trainer.picking.files import lora_name
from lora_trainer.settings import Settings


def lora_files(settings: Settings, loras: Path, epochs: Sequence[int]) -> dict[int, Path]:
    """The numbered file of each of these epochs, in the settings' folder or else in ``loras``."""
    folder = lora_folder(settings, loras)
    return {epoch: folder / f"{lora_name(settings.output.name, epoch)}.safetensors" for epoch in epochs}


def lora_folder(settings: Settings, loras: Path) -> Path:
    """Where the files go: the settings' folder or else ``loras``."""
    return Path(settings.output.out) if settings.output.out else loras


def check_untaken(settings: Settings, folder: Path) -> None:
    """Raise ``BadSettings`` when ``folder`` holds files of that name already."""
    name = settings.output.name
    if taken := files_named(name, folder):
        raise BadSettings("name_taken", field="name", name=name, file=taken[0].name, folder=folder)


def files_named(name: str, folder: Path) -> list[Path]:
    """The numbered files of that name in ``folder``."""
    return sorted(folder.glob(f"{glob.escape(name)}-[0-9]*.safetensors")) if folder.is_dir() else []


def check_free(settings: Settings, folder: Path) -> None:
    """Raise ``BadSettings`` when ``folder`` holds files of that name already or cannot be written."""
    check_untaken(settings, folder)
    name = settings.output.name
    probe = folder / f"{name}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise BadSettings("out_unwritable", field="out", folder=folder, reason=error.strerror or error) from error
