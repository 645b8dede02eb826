"""One project: its folder, its values, its images and their captions."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lora_trainer.captions.store import CaptionStore
from lora_trainer.dataset.captions import caption_ending
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadSettings, Unknown, UserError
from lora_trainer.project.history import History
from lora_trainer.project.images import ImageIndex, Stamps, folder_stamps, image_id, look_through, settled
from lora_trainer.project.sizes import Sizes
from lora_trainer.project.uploads import Uploads
from lora_trainer.settings import CaptionSettings, Settings, fields, from_flat

FILE, IMAGES, FINDINGS = "project.json", "images", "findings.json"
GOALS = ("character", "style", "object")
MOST_LETTERS = 100  # of a name
DEFAULTS: Mapping[str, Any] = {
    "name": "",
    "goal": GOALS[0],
    "images": "",
    "in_place": False,
    "preset": "auto",
    "settings": {},
    "tagging": {},
    "runs": [],
}
# What may be set with `change` besides the settings, and of which type it is.
TYPES = {"name": str, "goal": str, "images": str, "in_place": bool, "preset": str, "tagging": dict, "runs": list}


class Project:
    """One project. There is one object a project and process, so its locks are everybody's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.turn = threading.RLock()
        """Held by whoever changes the set, so that steps of the history come one after the other."""
        self.changing = False
        """Whether images come and go at this moment, which will be a step of the history when it is over."""
        self.history = History(self)
        self.sizes = Sizes(folder / "sizes.json")
        self.uploads = Uploads(folder / "uploads")
        self._lock = threading.RLock()
        self._index: tuple[ImageIndex, Stamps] | None = None
        self._captions: tuple[CaptionStore, object] | None = None

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def name(self) -> str:
        """What the user calls it."""
        return str(self.read()["name"])

    def read(self) -> dict[str, Any]:
        """``project.json``: id, name, goal, images, in_place, preset, settings, runs. Raises ``Unknown``.

        Values that a damaged file lacks have their defaults.
        """
        found = _read(self.folder / FILE)
        kept = {name: found[name] for name in DEFAULTS if type(found.get(name)) is type(DEFAULTS[name])}
        return {"id": self.id, **_copy(DEFAULTS), "name": self.id, **kept}

    def change(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Set these values of ``project.json``; all of it as it is now. Raises ``UserError``."""
        checked = {name: _checked(name, value) for name, value in values.items()}
        with self._lock:
            new = {**self.read(), **checked}
            self._write(new)
        return new

    def change_settings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Set these settings, each checked; None takes one back to its default. Raises ``BadSettings``."""
        self.check_settings(values)
        with self._lock:
            merged = {**self.settings, **values}
            kept = {name: value for name, value in merged.items() if value is not None}
            new = {**self.read(), "settings": kept}
            self._write(new)
        return new

    def check_settings(self, values: Mapping[str, Any]) -> None:
        """Raises ``BadSettings`` for what ``change_settings`` would refuse."""
        if "images" in values:
            raise BadSettings("project_images", field="images")
        for name, value in values.items():
            if name not in fields():
                raise BadSettings("setting_unknown", field=name, name=name)
            from_flat({} if value is None else {name: value})

    @property
    def settings(self) -> dict[str, Any]:
        """The flat settings that differ from the defaults, without ``images``."""
        return dict(self.read()["settings"])

    def effective(self, base: Mapping[str, Any] | None = None) -> Settings:
        """All settings: the defaults, over them ``base`` (a preset's values), the project's, and its images.

        Raises ``BadSettings`` where a value of another version is no good in this one.
        """
        return from_flat({**(base or {}), **self.settings, "images": str(self.images_folder)})

    @property
    def images_folder(self) -> Path:
        """Where the images lie: the project's own folder ``images``, or the one that is used in place."""
        values = self.read()
        return Path(values["images"]) if values["in_place"] and values["images"] else self.folder / IMAGES

    def images(self) -> ImageIndex:
        """The images as they are now. Raises ``BadDataset`` where a folder used in place is gone or unreadable."""
        folder = self.images_folder
        if folder == self.folder / IMAGES and not folder.is_dir():
            return ImageIndex(folder)
        with self._lock:
            if self._index and self._index[0].folder == folder and folder_stamps(self._index[0]) == self._index[1]:
                return self._index[0]
            index = look_through(folder)
            stamps = folder_stamps(index)
            if self._index and self._index[0] == index:
                index = self._index[0]  # with all that it has worked out
            self._index = (index, stamps if settled(stamps) else {})
            return index

    def captions(self) -> CaptionStore | None:
        """Their captions, up to date; None while there are no images. Raises ``BadDataset`` and ``BadSettings``."""
        index = self.images()
        if not index.entries:
            return None
        settings = self.caption_settings()
        with self._lock:
            held, stamp = self._captions or (None, None)
            now = self._caption_stamp(index, settings)
            if held is None or held.folder != index.folder.absolute() or held.settings != settings:
                held = CaptionStore(index.folder, settings)
            elif now != stamp:
                held.refresh()
            self._captions = (held, now)
            return held

    def captions_written(self) -> None:
        """The caption store has just written files itself: it need not read them again."""
        with self._lock:
            if self._captions:
                held = self._captions[0]
                index = self._index[0] if self._index else self.images()  # captions make no images
                self._captions = (held, self._caption_stamp(index, held.settings))

    def caption_settings(self) -> CaptionSettings:
        """How captions are read. Raises ``BadSettings``."""
        return from_flat(self.settings).captions

    def findings(self) -> dict[str, list[str]]:
        """The ids of the images of each finding of the last check, by the finding's key."""
        try:
            found = json.loads((self.folder / FINDINGS).read_text(encoding="utf-8"))
            return {str(key): [image_id(name) for name in names] for key, names in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def note_findings(self, found: Mapping[str, Sequence[Path]]) -> None:
        """Keep what a check found, for the image list's marks and its filter ``finding:KEY``."""
        folder = self.images_folder
        names = {
            key: [path.relative_to(folder).as_posix() for path in paths if path.is_relative_to(folder)]
            for key, paths in found.items()
        }
        with self.writing():
            write_whole(self.folder / FINDINGS, json.dumps(names, ensure_ascii=True))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What is written into the project's folder within; where it cannot be, a ``UserError``."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise UserError("project_unwritable", name=self.id, folder=self.folder, reason=reason) from error

    def _write(self, values: Mapping[str, Any]) -> None:
        file = self.folder / FILE
        with self.writing():
            if not _read(file):
                with suppress(OSError):  # damaged: what can be read of it by eye is kept
                    write_whole(file.with_name(f"{FILE}.damaged"), file.read_bytes())
            write_whole(file, json.dumps(dict(values), indent=2, ensure_ascii=False) + "\n")

    def _caption_stamp(self, index: ImageIndex, settings: CaptionSettings) -> object:
        """What changes when an image comes or goes, or when any caption file does."""
        ending, stamps = caption_ending(settings), []
        with suppress(OSError):
            for folder in (index.folder, *index.inner):
                with os.scandir(folder) as entries:
                    files = [(entry.path, entry.stat()) for entry in entries if entry.name.endswith(ending)]
                stamps += [(path, status.st_mtime_ns, status.st_size) for path, status in files]
        return index.entries, sorted(stamps)


def _read(file: Path) -> dict[str, Any]:
    """What is in ``project.json``; nothing where it is damaged. Raises ``Unknown`` where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Unknown("project_unknown") from None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with lists and dictionaries of their own."""
    return {name: type(value)(value) for name, value in values.items()}


def _checked(name: str, value: object) -> Any:
    """A value as it is kept. Raises ``BadSettings``."""
    kind = TYPES.get(name)
    if kind is None:
        raise BadSettings("setting_unknown", field=name, name=name)
    if type(value) is not kind:
        raise BadSettings("setting_type", field=name, name=name, value=value, kind=kind.__name__)
    if name == "name":
        return clean_name(str(value))
    if name == "goal" and value not in GOALS:
        raise BadSettings("setting_choice", field=name, name=name, value=value, choices=", ".join(GOALS))
    return value


def clean_name(name: str) -> str:
    """A name on one line, without what cannot be seen. Raises ``BadSettings`` where nothing is left or it is long."""
    text = "".join(letter if letter.isprintable() else " " for letter in name.encode("utf-8", "replace").decode())
    text = " ".join(text.split())
    if not text or len(text) > MOST_LETTERS:
        raise BadSettings("project_name", field="name", most=MOST_LETTERS)
    return text
