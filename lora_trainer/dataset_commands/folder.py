"""A folder of images on its own, as a project: its values are the options of the command line, its history its own."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lora_trainer.commandline import given
from lora_trainer.dataset.bench.importing import OURS
from lora_trainer.errors import Unknown, UserError
from lora_trainer.project.project import DEFAULTS, FILE, IMAGES, Project


class PlainFolder(Project):
    """The set in ``images``. A project's own folder of images has that project's history and settings; any other keeps
    its history in the hidden folder in it."""

    def __init__(self, images: Path, settings: Mapping[str, Any] | None = None) -> None:
        owner = images.parent
        owned = images.name == IMAGES and (owner / FILE).is_file()
        super().__init__(owner if owned else images / OURS)
        self._images = images
        self._values: dict[str, Any] = {**DEFAULTS, "name": images.name}
        with suppress(Unknown, UserError):
            self._values |= super().read() if owned else {}
        own = {name: value for name, value in (settings or {}).items() if name != "images"}
        self._values["settings"] = {**self._values["settings"], **own}

    def read(self) -> dict[str, Any]:
        """The values, which no file is written for."""
        return {**self._values, "id": self._images.name}

    @property
    def images_folder(self) -> Path:
        """The folder itself."""
        return self._images

    def _write(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)


def folder_of(options: argparse.Namespace) -> PlainFolder:
    """The set that the options name, with their settings."""
    return PlainFolder(options.folder.absolute(), given(options))
