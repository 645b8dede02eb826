"""How often folders and single images are seen, changed so that it can be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_trainer.dataset.checks import actions
from lora_trainer.dataset.checks.actions import Move, Write
from lora_trainer.dataset.repeats import FILE, MAX_REPEATS, folder_repeats, numbered
from lora_trainer.errors import BadDataset, Unknown
from lora_trainer.project import reading
from lora_trainer.project.project import Project


def set_repeats(project: Project, wanted: Mapping[str, Any]) -> None:
    """Give a ``folder`` ("" for the set's own) or one ``image`` (by its id) a number of ``repeats``.

    A sub-folder is renamed, an image gets a line beside it (None takes it away), the set's own folder is a setting.
    Raises ``Unknown``, ``BadSettings`` and ``BadDataset``.
    """
    index = project.images()
    if wanted.get("image") is not None:
        entry = index.get(reading.text(wanted, "image"))
        number = None if wanted.get("repeats") is None else reading.whole(wanted, "repeats", 0, 1, MAX_REPEATS)
        _set_image(project, entry.path, number)
        return
    repeats, name = reading.whole(wanted, "repeats", 0, 1, MAX_REPEATS), reading.text(wanted, "folder")
    if not name:
        project.change_settings({"repeats": repeats})
        return
    folder = next((place for place in index.inner if place.name == name), None)
    if folder is None:
        raise Unknown("folder_unknown")
    named = folder_repeats(folder.name)
    if named and named[0] != repeats:
        action = (Move(folder, folder.with_name(f"{repeats}_{named[1]}")),)
        actions.record(index.folder, action)
        project.history.action_recorded("history.repeats", {"name": named[1], "repeats": repeats})


def _set_image(project: Project, image: Path, repeats: int | None) -> None:
    file = image.with_name(FILE)
    try:
        before = file.read_bytes() if file.is_file() else None
    except OSError as error:
        reason = error.strerror or error
        raise BadDataset("caption_unreadable", field="images", name=FILE, reason=reason) from error
    after = numbered(image.parent, {image.name: repeats})
    if after != before:
        actions.record(project.images_folder, (Write(file, before, after),))
        key = "history.repeats" if repeats else "history.repeats_none"
        project.history.action_recorded(key, {"name": image.name, **({"repeats": repeats} if repeats else {})})
