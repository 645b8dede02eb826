"""What a tagger says, on the disk until it is in the captions: a crash in hours of tagging loses nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_trainer.captions.caption import Kept
from lora_trainer.captions.operations import SetCaptions
from lora_trainer.captions.selection import Listed
from lora_trainer.dataset.captions import caption
from lora_trainer.project.captioning import Edit, applied
from lora_trainer.project.project import Project
from lora_trainer.project.tasks import TaskControl
from lora_trainer.project.words import Words

FILE = "tagging.jsonl"


@dataclass(frozen=True, slots=True)
class TagCaptions(SetCaptions):
    """Give images the tags that a tagger found."""

    tagger: str = ""

    @property
    def title(self) -> tuple[str, dict[str, str]]:
        return "captions.did_tag", {"tagger": self.tagger}


class TagNotes:
    """The notes of one tagging, ``tagging.jsonl`` in the project's folder; there is no such file when all is written.

    An image whose caption has changed since it was looked at keeps its caption.
    """

    def __init__(self, project: Project, tagger: str) -> None:
        self._project, self._tagger = project, tagger
        self._file = project.folder / FILE
        self._before: dict[Path, Sequence[str]] = {}

    def begin(self) -> None:
        """Remember the captions as they are now. Raises ``UserError``."""
        store = self._project.captions()
        self._before = {image: one.tags for one in (store.captions if store else ()) for image in one.images}

    def add(self, image: Path, tags: Sequence[str]) -> None:
        """Note all tags that the caption of ``image`` is to have. Raises ``UserError``."""
        name = image.relative_to(self._project.images_folder).as_posix()
        before = self._before.get(image)
        line = {"image": name, "before": before and [*before], "tags": [*tags], "tagger": self._tagger}
        with self._project.writing(), self._file.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(line) + "\n")

    def settle(self, control: TaskControl) -> int:
        """Write what is noted into the captions, as one step of the history; how many images it changed.

        Raises ``UserError`` where nothing can be written; then the notes stay.
        """
        lines = _lines(self._file)
        if not lines:
            self._file.unlink(missing_ok=True)
            return 0
        with self._project.turn:
            texts = self._texts(lines, control)
            operation = TagCaptions(texts, str(lines[-1].get("tagger", "")))
            outcome = applied(self._project, Edit("set", operation, Listed(tuple(texts)), Kept()))
            for refusal in outcome.refused:
                control.note(refusal.error)
            self._file.unlink(missing_ok=True)
        return outcome.images

    def _texts(self, lines: Sequence[dict[str, Any]], control: TaskControl) -> dict[Path, str]:
        """The captions that are still as they were when their images were looked at, with their new texts."""
        store = self._project.captions()
        if store is None:
            return {}
        known = {image: one.tags for one in store.captions for image in one.images}
        unread = {image: one.error for one in store.unread for image in one.images}
        texts: dict[Path, str] = {}
        for line in lines:
            path = self._project.images_folder / line["image"]
            if path in unread:
                control.note(unread[path])
            elif path in known and [*known[path]] != [*(line["before"] or ())]:
                control.note(Words("task.tag.changed", {"name": path.name}))
            elif path in known:
                texts[path] = caption(line["tags"])
        return texts


def _lines(file: Path) -> list[dict[str, Any]]:
    """The notes; what a crash cut off or another hand spoilt is passed over."""
    try:
        raw = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in raw:
        try:
            values = json.loads(line)
            if all(isinstance(tag, str) for tag in values["tags"]) and isinstance(values["image"], str):
                found.append({"before": None, **values})
        except (ValueError, TypeError, KeyError):
            continue
    return found
