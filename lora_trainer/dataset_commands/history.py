"""``dataset undo|redo|history``: one list of steps over edits of captions, remedies and images that came or went."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lora_trainer.dataset_commands.command import DatasetCommand, Results, Say, no_options
from lora_trainer.language import translate

if TYPE_CHECKING:
    from lora_trainer.dataset_commands.folder import PlainFolder


def _undo(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Take the last step back."""
    from lora_trainer.dataset_commands.folder import folder_of

    project = folder_of(options)
    text = project.history.undo(language)
    say(text)
    return 0, {"text": text, **_next(project, language)}


def _redo(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Make the last undone step again."""
    from lora_trainer.dataset_commands.folder import folder_of

    project = folder_of(options)
    text = project.history.redo(language)
    say(text)
    return 0, {"text": text, **_next(project, language)}


def _history(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Say what the next undo and redo are about."""
    from lora_trainer.dataset_commands.folder import folder_of

    found = _next(folder_of(options), language)
    for name, text in found.items():
        say(translate(f"dataset.{name}" if text else f"dataset.no_{name}", language, text=text))
    return 0, found


def _next(project: PlainFolder, language: str) -> dict[str, str]:
    undo, redo = project.history.next_words()
    return {"undo": undo.text(language) if undo else "", "redo": redo.text(language) if redo else ""}


COMMANDS = (
    DatasetCommand("undo", "take the last step back: an edit, a remedy, images that came or went", no_options, _undo),
    DatasetCommand("redo", "make the last undone step again", no_options, _redo),
    DatasetCommand("history", "say what undo and redo would do", no_options, _history),
)
