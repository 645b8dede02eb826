"""A project is a folder: what is taught, its images, its settings as far as they differ, and its runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_trainer.captions.store import CaptionStore
from lora_trainer.project.history import History
from lora_trainer.project.images import ImageIndex
from lora_trainer.settings import Settings

GOALS = ("character", "style", "object")


class Project:
    """One project. There is one object a project and process, so its locks are everybody's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.turn = threading.RLock()
        """Held by whoever changes the set, so that steps of the history come one after the other."""
        self.history = History(self)

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def name(self) -> str:
        """What the user calls it."""
        return str(self.read()["name"])

    def read(self) -> dict[str, Any]:
        """``project.json``: id, name, goal, images, in_place, preset, settings, runs. Raises ``Unknown``."""
        raise NotImplementedError

    def change(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Set these values of ``project.json``; all of it as it is now. Raises ``UserError``."""
        raise NotImplementedError

    def change_settings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Set these settings, each checked; None takes one back to its default. Raises ``BadSettings``."""
        raise NotImplementedError

    @property
    def settings(self) -> dict[str, Any]:
        """The flat settings that differ from the defaults, without ``images``."""
        return dict(self.read()["settings"])

    def effective(self, base: Mapping[str, Any] | None = None) -> Settings:
        """All settings: the defaults, over them ``base`` (a preset's values), the project's, and its images."""
        raise NotImplementedError

    @property
    def images_folder(self) -> Path:
        """Where the images lie: the project's own folder ``images``, or the one that is used in place."""
        raise NotImplementedError

    def images(self) -> ImageIndex:
        """The images as they are now. Raises ``BadDataset`` where a folder used in place is gone or unreadable."""
        raise NotImplementedError

    def captions(self) -> CaptionStore | None:
        """Their captions, up to date; None while there are no images. Raises ``BadDataset`` and ``BadSettings``."""
        raise NotImplementedError

    def findings(self) -> dict[str, list[str]]:
        """The ids of the images of each finding of the last check, by the finding's key."""
        raise NotImplementedError

    def note_findings(self, found: Mapping[str, Sequence[Path]]) -> None:
        """Keep what a check found, for the image list's marks and its filter ``finding:KEY``."""
        raise NotImplementedError


class Projects:
    """All projects below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def list(self) -> list[Project]:
        """All projects, the last used first."""
        raise NotImplementedError

    def create(self, name: str = "", goal: str = "character") -> Project:
        """A new project. Raises ``BadSettings`` and ``UserError`` where it cannot be."""
        raise NotImplementedError

    def find(self, project_id: str) -> Project:
        """The project of that id, which is compared and never joined to a path. Raises ``Unknown``."""
        raise NotImplementedError

    def delete(self, project_id: str) -> Path:
        """Move a project to the trash beside it; where it lies then. Raises ``Unknown`` and ``UserError``."""
        raise NotImplementedError
