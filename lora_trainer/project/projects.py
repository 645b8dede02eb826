"""All projects of a host: folders below one root, found by comparing their names."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lora_trainer.disk import write_whole
from lora_trainer.errors import BadSettings, Unknown, UserError
from lora_trainer.project.project import DEFAULTS, FILE, GOALS, Project, clean_name

__all__ = ["GOALS", "Project", "Projects"]

TRASH = "trash"
UNNAMED = "project"


class Projects:
    """All projects below ``root``. All methods may be called from any thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._known: dict[Path, Project] = {}

    def list(self) -> list[Project]:
        """All projects, the last used first."""
        found = [(_used(folder), self._project(folder)) for folder in self._folders()]
        return [project for _, project in sorted(found, key=lambda pair: (-pair[0], pair[1].id))]

    def create(self, name: str = "", goal: str = GOALS[0]) -> Project:
        """A new project; without a name it is called "project 1" or the next free number.

        Raises ``BadSettings`` for a name or a goal that cannot be, ``UserError`` where nothing can be written.
        """
        if goal not in GOALS:
            raise BadSettings("setting_choice", field="goal", name="goal", value=goal, choices=", ".join(GOALS))
        with self._lock:
            name = clean_name(name) if name.strip() else self._unnamed()
            folder = self.root / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
            values: dict[str, Any] = {"id": folder.name, **DEFAULTS, "name": name, "goal": goal}
            try:
                write_whole(folder / FILE, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
            except OSError as error:
                reason = error.strerror or error
                raise UserError("project_unwritable", name=name, folder=folder, reason=reason) from error
        return self._project(folder)

    def find(self, project_id: str) -> Project:
        """The project of that id, which is compared and never joined to a path. Raises ``Unknown``."""
        for folder in self._folders():
            if folder.name == project_id:
                return self._project(folder)
        raise Unknown("project_unknown")

    def delete(self, project_id: str) -> Path:
        """Move a project to the trash beside it; where it lies then. A folder used in place stays where it is.

        Raises ``Unknown`` and ``UserError``.
        """
        project = self.find(project_id)
        target = self.root / TRASH / project.id
        with project.turn, self._lock:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                project.folder.rename(target)
            except OSError as error:
                reason = error.strerror or error
                raise UserError("project_unwritable", name=project.id, folder=project.folder, reason=reason) from error
            self._known.pop(project.folder, None)
        return target

    def _project(self, folder: Path) -> Project:
        with self._lock:
            return self._known.setdefault(folder, Project(folder))

    def _folders(self) -> Iterator[Path]:
        if self.root.is_dir():
            yield from (entry for entry in self.root.iterdir() if (entry / FILE).is_file())

    def _unnamed(self) -> str:
        """A name that no other project has."""
        taken = {str(Project(folder).name) for folder in self._folders()}
        number = 1
        while f"{UNNAMED} {number}" in taken:
            number += 1
        return f"{UNNAMED} {number}"


def _used(folder: Path) -> float:
    """When something was last done in a project, in seconds since 1970."""
    times = [0.0]
    for name in (FILE, "history.jsonl"):
        try:
            times.append((folder / name).stat().st_mtime)
        except OSError:
            continue
    return max(times)
