"""Changes of files that can be taken back: moving and writing, never deleting. A journal keeps them over restarts."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.disk import write_whole
from lora_trainer.errors import BadDataset

JOURNAL = "undo.jsonl"


@dataclass(frozen=True, slots=True)
class Move:
    """A file or folder goes from one place to another, where nothing is yet."""

    source: Path
    target: Path

    def perform(self) -> None:
        """Raises ``OSError``."""
        if self.target.exists() or self.target.is_symlink():
            raise FileExistsError(f"{self.target.name} exists already")
        self.target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(self.source, self.target)

    def undone(self) -> Move:
        """The move back."""
        return Move(self.target, self.source)

    def to_dict(self) -> dict[str, str | None]:
        """For JSON."""
        return {"source": str(self.source), "target": str(self.target)}


@dataclass(frozen=True, slots=True)
class Write:
    """A file's content changes from ``before`` to ``after``; None where there is no file."""

    path: Path
    before: bytes | None
    after: bytes | None

    def perform(self) -> None:
        """Raises ``OSError``, also where the file was changed by somebody else."""
        if (self.path.read_bytes() if self.path.is_file() else None) != self.before:
            raise FileExistsError(f"{self.path.name} was changed meanwhile")
        if self.after is None:
            self.path.unlink()
        else:
            write_whole(self.path, self.after)

    def undone(self) -> Write:
        """The content as it was."""
        return Write(self.path, self.after, self.before)

    def to_dict(self) -> dict[str, str | None]:
        """For JSON."""
        return {"path": str(self.path), "before": _text(self.before), "after": _text(self.after)}


Step = Move | Write
Action = tuple[Step, ...]


def perform(action: Action) -> None:
    """All steps or none. Raises ``BadDataset`` where one fails; then everything is as it was."""
    done: list[Step] = []
    for step in action:
        try:
            step.perform()
        except (OSError, shutil.Error) as error:
            for earlier in reversed(done):
                earlier.undone().perform()
            name = step.source.name if isinstance(step, Move) else step.path.name
            reason = getattr(error, "strerror", None) or str(error)
            raise BadDataset("remedy_failed", field="images", name=name, reason=reason) from error
        done.append(step)


def undo(action: Action) -> None:
    """Take an action back. Raises ``BadDataset`` where files were changed since; then nothing is changed."""
    perform(tuple(step.undone() for step in reversed(action)))


def aside_folder(folder: Path) -> Path:
    """Where files of the set in ``folder`` are set aside: beside it, so that no program takes them for a part of it."""
    return folder.with_name(f"{folder.name} (set aside)")


def record(folder: Path, action: Action) -> None:
    """Perform an action on the set in ``folder`` and note it. Raises ``BadDataset``; then nothing is changed."""
    perform(action)
    try:
        _save(folder, [*history(folder), action])
    except OSError as error:
        undo(action)
        raise BadDataset("remedy_failed", field="images", name=JOURNAL, reason=error.strerror) from error


def take_back(folder: Path) -> Action | None:
    """Undo the last noted action; None where there is none. Raises ``BadDataset``; then nothing is changed."""
    actions = history(folder)
    if not actions:
        return None
    undo(actions[-1])
    _save(folder, actions[:-1])
    return actions[-1]


def history(folder: Path) -> list[Action]:
    """The noted actions, the oldest first."""
    file = aside_folder(folder) / JOURNAL
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [tuple(read_step(step) for step in json.loads(line)) for line in lines if line.strip()]


def _save(folder: Path, actions: Sequence[Action]) -> None:
    lines = [json.dumps([step.to_dict() for step in action]) + "\n" for action in actions]
    write_whole(aside_folder(folder) / JOURNAL, "".join(lines))


def read_step(values: dict[str, str | None]) -> Step:
    """The inverse of ``to_dict``. Raises ``KeyError`` and ``ValueError``."""
    if "source" in values:
        return Move(Path(values["source"] or ""), Path(values["target"] or ""))
    return Write(Path(values["path"] or ""), _bytes(values["before"]), _bytes(values["after"]))


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
