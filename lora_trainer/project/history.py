"""One undo and redo over all that is done to a set: which journal made the next step, and how it takes it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lora_trainer.language import English
from lora_trainer.project.words import Sayable

if TYPE_CHECKING:
    from lora_trainer.captions.results import Outcome
    from lora_trainer.dataset.checks.actions import Action
    from lora_trainer.project.projects import Project


class History:
    """The history of one project, ``history.jsonl`` in its folder; lines are only added.

    Whoever changes the set says so right after it was done, by one of the methods below, and holds
    ``project.turn`` around both.
    """

    def __init__(self, project: Project) -> None:
        self.project = project

    def captions_edited(self) -> None:
        """``CaptionStore.apply`` has changed captions: note what its journal says (nothing, if it changed nothing)."""
        raise NotImplementedError

    def action_recorded(self, title: str, values: Mapping[str, Any]) -> None:
        """``dataset.checks.actions.record`` has been called on the set; ``title`` is the key of "Mended: …"."""
        raise NotImplementedError

    def images_changed(self, title: str, values: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Images came or went: ``data`` is what ``project.changes`` noted."""
        raise NotImplementedError

    @property
    def undo_words(self) -> Sayable | None:
        """What the next undo takes back; None where there is nothing."""
        raise NotImplementedError

    @property
    def redo_words(self) -> Sayable | None:
        """What the next redo makes again; None where there is nothing."""
        raise NotImplementedError

    def undo(self, language: str = English) -> str:
        """Take the last step back; a sentence that says so. Raises ``UserError``, then nothing was changed."""
        raise NotImplementedError

    def redo(self, language: str = English) -> str:
        """Make the last undone step again. Raises as ``undo``."""
        raise NotImplementedError
