"""One undo and redo over all that is done to a set: which journal made the next step, and how it takes it back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_trainer.captions.store import CaptionStore
from lora_trainer.dataset.checks import actions
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadDataset, BadSettings, Busy, UserError
from lora_trainer.language import English
from lora_trainer.project import changes
from lora_trainer.project.record import ACTION, CAPTIONS, FOLDER, IMAGES, Record, Step
from lora_trainer.project.words import Sayable, Words

if TYPE_CHECKING:
    from lora_trainer.project.project import Project

UNDONE = "undone"  # in the project's folder: doctor's remedies that wait to be done again
PLACE = ("images", "in_place")  # of a project's values: where its images lie


class History:
    """The history of one project, ``history.jsonl`` in its folder; lines are only added.

    The set's own journals stay the truth: what they did without the project (on the command line, in another window)
    joins the history, and what they took back leaves it. Whoever changes the set says so by one of the methods below,
    and holds ``project.turn`` around both.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._record = Record(project.folder)

    def captions_edited(self) -> None:
        """``CaptionStore.apply`` has changed captions: note what its journal says (nothing, if it changed nothing)."""
        with self.project.turn:
            self.project.captions_written()
            with self._current():
                pass  # it takes the new change in

    def action_recorded(self, title: str, values: Mapping[str, Any] | None = None) -> None:
        """``dataset.checks.actions.record`` has been called on the set, once; ``title`` is its sentence's key."""
        with self._current(unknown=1) as record:
            record.do(Step(0, ACTION, self._folder, title, values or {}))

    def images_changed(self, title: str, values: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Images came or went; ``changes.noting`` calls this."""
        with self._current() as record:
            record.do(Step(0, IMAGES, self._folder, title, values, data))

    def place_changed(self, title: str, values: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        """Another folder of images is used; ``before`` are the project's values until then."""
        now = self.project.read()
        data = {
            "before": {name: before[name] for name in PLACE},
            "after": {name: now[name] for name in PLACE},
            "actions": _count(self.project.images_folder),
        }
        with self.project.turn, self.project.writing():
            self._record.read()
            self._record.do(Step(0, FOLDER, self._folder, title, values, data))

    @property
    def undo_words(self) -> Sayable | None:
        """What the next undo takes back; None where there is nothing."""
        return self.next_words()[0]

    @property
    def redo_words(self) -> Sayable | None:
        """What the next redo makes again; None where there is nothing."""
        return self.next_words()[1]

    def next_words(self) -> tuple[Sayable | None, Sayable | None]:
        """What the next undo and the next redo are about; None where there is nothing."""
        with self._current() as record:
            return (record.done[-1] if record.done else None), (record.undone[-1] if record.undone else None)

    def undo(self, language: str = English) -> str:
        """Take the last step back; a sentence that says so. Raises ``UserError``, then nothing was changed."""
        with self._current() as record:
            if not record.done:
                raise BadSettings("undo_nothing")
            step = record.done[-1]
            data, notes = self._step(step, back=True)
            record.move("undo", step, data)
        return _said("history.undone", step, notes, language)

    def redo(self, language: str = English) -> str:
        """Make the last undone step again. Raises as ``undo``."""
        with self._current() as record:
            if not record.undone:
                raise BadSettings("redo_nothing")
            step = record.undone[-1]
            data, notes = self._step(step, back=False)
            record.move("redo", step, data)
        return _said("history.redone", step, notes, language)

    @property
    def _folder(self) -> str:
        return str(self.project.images_folder)

    def _step(self, step: Step, back: bool) -> tuple[Mapping[str, Any], list[Sayable]]:
        """Take a step back or make it again; what is to be known for the way back, and what went otherwise."""
        folder = Path(step.folder)
        if step.kind == IMAGES:
            if not folder.is_dir():
                raise BadDataset("folder_missing", field="images", folder=folder)
            data, notes = (changes.take_back if back else changes.make_again)(folder, step.data)
            return data, list(notes)
        if step.kind == CAPTIONS:
            return step.data, self._captions_step(step, back)
        if step.kind == ACTION:
            return self._action_step(step, folder, back), []
        self.project.change(step.data["before" if back else "after"])
        return step.data, []

    def _captions_step(self, step: Step, back: bool) -> list[Sayable]:
        store = self.project.captions()
        journal = () if store is None else (store.done if back else store.undone)
        if store is None or not journal or journal[-1].id != step.data["change"]:
            raise BadDataset("undo_order", field="images")
        outcome = store.undo() if back else store.redo()
        if outcome is None:  # another program was quicker
            raise Busy("captions_busy", folder=store.folder)
        self.project.captions_written()
        return [refusal.error for refusal in outcome.refused]

    def _action_step(self, step: Step, folder: Path, back: bool) -> dict[str, Any]:
        """The doctor's journal forgets an action that it took back, so that it is kept here meanwhile."""
        file = self.project.folder / UNDONE / f"{step.number}.json"
        if not back:
            try:
                steps = json.loads(file.read_text(encoding="utf-8"))
                actions.record(folder, tuple(actions.read_step(values) for values in steps))
            except (OSError, ValueError, KeyError, AttributeError) as error:
                raise BadDataset("redo_lost", field="images") from error
            file.unlink(missing_ok=True)
            return dict(step.data)
        last = actions.history(folder)[-1:]
        if not last:
            raise BadDataset("undo_order", field="images")
        write_whole(file, json.dumps([one.to_dict() for one in last[0]]))
        actions.take_back(folder)
        return dict(step.data)

    @contextmanager
    def _current(self, unknown: int = 0) -> Iterator[Record]:
        """The record, in agreement with the set's own journals but for ``unknown`` actions, and nobody else's."""
        with self.project.turn, self.project.writing():
            changes.catch_up(self.project)
            self._record.read()
            with suppress(UserError):  # a folder that is gone has no journals to agree with
                store = self.project.captions()
                if store is not None:
                    self._agree_on_captions(store)
                self._agree_on_actions(unknown)
            yield self._record

    def _agree_on_captions(self, store: CaptionStore) -> None:
        record, since = self._record, self._since()
        done, undone = ({(change.id, change.time) for change in part} for part in (store.done, store.undone))
        ours = [step for step in record.all if step.kind == CAPTIONS and step.folder == self._folder]
        own = {(step.data["change"], step.time): step for step in ours}
        for mark, step in own.items():
            if step in record.done and mark not in done:
                record.move("undo" if mark in undone else "gone", step)
            elif step in record.undone and mark not in undone:
                record.move("redo" if mark in done else "gone", step)
        for change in store.done:
            if (change.id, change.time) not in own and change.time >= since:
                step = Step(0, CAPTIONS, self._folder, change.title, change.values, {"change": change.id}, change.time)
                record.do(step)

    def _agree_on_actions(self, unknown: int) -> None:
        record, folder = self._record, self._folder
        base = next((step.data["actions"] for step in reversed(record.done) if self._begins(step)), 0)
        found = _count(Path(folder)) - unknown
        own = [step for step in record.done if step.kind == ACTION and step.folder == folder]
        for step in own[max(0, found - base) :]:
            record.move("gone", step)
        for _ in range(max(0, found - base - len(own))):
            record.do(Step(0, ACTION, folder, "history.mended_elsewhere"))

    def _since(self) -> float:
        """From when on the journals of the folder tell of this project: older edits are not its to take back."""
        return next((step.time for step in reversed(self._record.done) if self._begins(step)), 0.0)

    def _begins(self, step: Step) -> bool:
        return step.kind == FOLDER and step.folder == self._folder


def _count(folder: Path) -> int:
    """How many actions the doctor's journal holds, without reading what they are."""
    file = actions.aside_folder(folder) / actions.JOURNAL
    try:
        with file.open("rb") as lines:
            return sum(1 for line in lines if line.strip())
    except OSError:
        return 0


def _said(key: str, step: Step, notes: list[Sayable], language: str) -> str:
    """What was undone or done again, and the first of what went otherwise."""
    text = Words(key, {"step": step}).text(language)
    if not notes:
        return text
    more = Words("history.others", {"count": len(notes) - 1}).text(language) if len(notes) > 1 else ""
    return " ".join([text, notes[0].text(language), more]).strip()
