"""Captions as the tab edits them: lists of tags, what an edit would change, and edits that the history takes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_trainer.captions.binding import Binding, bindings
from lora_trainer.captions.caption import Caption, Kept, fold
from lora_trainer.captions.counting import TagCount, frequencies
from lora_trainer.captions.operations import (
    Add,
    Deduplicate,
    Operation,
    Remove,
    Replace,
    ReplacePattern,
    SetCaptions,
    Sort,
)
from lora_trainer.captions.results import Outcome, Preview, Refusal
from lora_trainer.captions.selection import Everything, Filtered, Listed, Selection, selected
from lora_trainer.captions.store import MOST_BYTES, CaptionStore
from lora_trainer.dataset.captions import tags as tags_of
from lora_trainer.errors import BadSettings, Busy, Unknown
from lora_trainer.project import reading
from lora_trainer.project.images import ImageIndex
from lora_trainer.project.project import Project
from lora_trainer.project.tasks import Tasks

KINDS = ("add", "remove", "replace", "pattern", "deduplicate", "sort")
SCOPES = ("all", "filtered", "selected")
TRIGGER_STAYS = ("add", "deduplicate", "sort")  # the others name what they change: that may be the trigger
READING = ("check",)  # tasks that change nothing
MOST_TAGS, MOST_TOLD = 2000, 5


@dataclass(frozen=True, slots=True)
class Edit:
    """Something to do to some captions, in the page's word ``kind`` for it."""

    kind: str
    operation: Operation
    selection: Selection
    kept: Kept


@dataclass(frozen=True, slots=True)
class TagList:
    """The tags of some images: how many images have none, the commonest tags, and how many tags there are at all."""

    untagged: int
    rows: tuple[TagCount, ...]
    total: int
    unread: tuple[Refusal, ...]


class Captioning:
    """Edits of the captions of projects. All methods may be called from any thread."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def tags(self, project: Project, filter_text: str = "", search: str = "", limit: int = MOST_TAGS) -> TagList:
        """The tags of the images that fulfil the filter, those that have ``search`` in them. Raises ``UserError``."""
        store = project.captions()
        if store is None:
            selected([], Filtered(filter_text))  # a filter that cannot be read is one with no images as well
            return TagList(0, (), 0, ())
        mark = " ".join(store.settings.keep_tokens_separator.split())
        rows = frequencies(store.selected(Filtered(filter_text)), mark)
        wanted = fold(search.strip())
        named = [row for row in rows if row.tag is not None and wanted in fold(row.tag)]
        untagged = next((row.images for row in rows if row.tag is None), 0)
        return TagList(untagged, tuple(named[: max(0, limit)]), len(named), tuple(store.unread))

    def bindings(self, project: Project) -> list[Binding]:
        """The tags that would better go, for their traits to belong to the trigger. Raises ``UserError``."""
        store = project.captions()
        return bindings(store.captions, _trigger(project)) if store else []

    def edit(self, project: Project, body: Mapping[str, Any]) -> Edit:
        """What ``{"operation": …, "selection": …}`` orders. Raises ``BadSettings`` and ``Unknown``."""
        values = reading.mapping(body, "operation")
        kind = reading.choice(values, "kind", "", KINDS)
        kept = Kept(trigger=_trigger(project)) if kind in TRIGGER_STAYS else Kept()
        return Edit(
            kind, operation_of(kind, values), selection_of(reading.mapping(body, "selection"), project.images()), kept
        )

    def preview(self, project: Project, edit: Edit) -> Preview:
        """How many images the edit would change, and some of them before and after. Raises ``UserError``."""
        store = project.captions()
        return Preview(0, 0, ()) if store is None else store.preview(edit.operation, edit.selection, edit.kept)

    def apply(self, project: Project, edit: Edit) -> Outcome:
        """Change the captions; the history can take it back. Raises ``UserError``; then nothing was changed."""
        with project.turn:
            self._refuse_while_changing(project)
            return applied(project, edit)

    def write(self, project: Project, image: Path, words: str) -> None:
        """Give one image this caption. Raises ``UserError`` where it cannot be; then the old one is as it was."""
        if (size := len(words.encode("utf-8", "replace"))) > MOST_BYTES:
            raise BadSettings("caption_long", field="text", size=size // 1000, most=MOST_BYTES // 1000)
        _check_letters(words)
        with project.turn:
            self._refuse_while_changing(project)
            store = project.captions()
            if (unread := _unread(store, image)) is not None:
                raise unread.error
            outcome = applied(project, Edit("set", SetCaptions({image: words}), Listed((image,)), Kept()))
            for refusal in outcome.refused:
                raise refusal.error

    def _refuse_while_changing(self, project: Project) -> None:
        """Raises ``Busy`` while a task changes the images or their captions."""
        running = self._tasks.running(project.id)
        if running is not None and running.kind not in READING:
            raise Busy("task_running", name=project.name)


def applied(project: Project, edit: Edit) -> Outcome:
    """Make an edit and note it in the history. Raises ``UserError``; then nothing was changed."""
    with project.turn:
        store = project.captions()
        if store is None:
            return Outcome(0)
        outcome = store.apply(edit.operation, edit.selection, edit.kept)
        if outcome.images:
            project.history.captions_edited()
        return outcome


def operation_of(kind: str, values: Mapping[str, Any]) -> Operation:
    """The operation with its fields as JSON has them. Raises ``BadSettings``."""

    def flag(name: str) -> bool:
        return reading.of_type(values, name, False, bool)

    if kind == "add":
        at = values.get("at", 0)
        place = None if at is None else reading.whole(values, "at", 0, 0, 10_000)
        return Add(_words(values, "words"), place, flag("move"))
    if kind == "remove":
        named = values.get("words")
        words = tags_of(_words(values, "words")) if isinstance(named, str) else reading.texts(values, "words")
        return Remove(tuple(words))
    if kind == "replace":
        return Replace(_words(values, "old"), _words(values, "new"), flag("inside"))
    if kind == "pattern":
        return ReplacePattern(_words(values, "pattern"), _words(values, "new"), flag("ignore_case"))
    return Deduplicate() if kind == "deduplicate" else Sort(flag("by_frequency"))


def selection_of(values: Mapping[str, Any], index: ImageIndex) -> Selection:
    """The images that ``{"scope", "filter", "images"}`` means; all without it. Images that are gone are passed over.

    Raises ``BadSettings``, and ``Unknown`` where all of them are gone.
    """
    scope = reading.choice(values, "scope", SCOPES[0], SCOPES)
    if scope == "filtered":
        return Filtered(reading.text(values, "filter"))
    if scope == "all":
        return Everything()
    ids = set(reading.texts(values, "images"))
    found = tuple(entry.path for entry in index.entries if entry.id in ids)
    if ids and not found:
        raise Unknown("image_unknown")
    return Listed(found)


def chosen(project: Project, selection: Selection) -> list[Path]:
    """The images that a selection means, in the set's order. Raises ``UserError``."""
    paths = project.images().paths
    if isinstance(selection, Everything):
        return paths
    if isinstance(selection, Listed):
        return list(selection.images)
    store = project.captions()
    wanted = {image for one in (store.selected(selection) if store else ()) for image in one.images}
    return [path for path in paths if path in wanted]


def caption_of(store: CaptionStore, image: Path) -> Caption | None:
    """The caption of an image; None where it could not be read."""
    return next((one for one in store.captions if image in one.images), None)


def _unread(store: CaptionStore | None, image: Path) -> Refusal | None:
    return next((one for one in (store.unread if store else ()) if image in one.images), None)


def _trigger(project: Project) -> str:
    return project.effective().data.trigger


def _words(values: Mapping[str, Any], name: str) -> str:
    return _check_letters(reading.text(values, name))


def _check_letters(words: str) -> str:
    """The same text. Raises ``BadSettings`` for one that no file can hold: half a letter, or a zero."""
    try:
        words.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadSettings("text_broken", field="text") from error
    if "\0" in words:
        raise BadSettings("text_broken", field="text")
    return words


def told(refused: Sequence[Refusal], language: str) -> list[str]:
    """Why caption files were left alone, one sentence each, of the first few."""
    return [one.error.text(language) for one in refused[:MOST_TOLD]]
