"""The run folder, which is the truth (D5): ``run.json``, ``events.jsonl``, ``samples/``, ``grid/``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_trainer.disk import write_whole
from lora_trainer.errors import UserError
from lora_trainer.events import Event, from_dict, to_dict
from lora_trainer.settings import Settings, from_flat, to_flat

LAST_BYTES = 65536  # of the events: enough for the last of them, with the detail of a failure


@dataclass(frozen=True)
class Run:
    """One run's folder; its name is the run's id."""

    folder: Path

    @classmethod
    def create(cls, runs: Path, settings: Settings, now: float | None = None) -> Run:
        """A new folder under ``runs``, named by time and LoRA name, with the settings in it. Raises ``UserError`` if
        it cannot be."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
        folder = runs / f"{stamp}-{settings.output.name}"
        number = 1
        while folder.exists():
            number += 1
            folder = runs / f"{stamp}-{settings.output.name}-{number}"
        try:
            for part in ("samples", "grid"):
                (folder / part).mkdir(parents=True)
            write_whole(folder / "run.json", json.dumps(to_flat(settings), indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise UserError("folder_unwritable", path=folder, reason=error.strerror or error) from error
        return cls(folder)

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.name

    def settings(self) -> Settings:
        """The settings as they were when the run began."""
        return from_flat(json.loads((self.folder / "run.json").read_text(encoding="utf-8")))

    def append(self, event: Event) -> None:
        """Add one line to ``events.jsonl``, with the time in seconds since 1970."""
        line = json.dumps({"time": round(time.time(), 3), **to_dict(event)}, ensure_ascii=False)
        with (self.folder / "events.jsonl").open("a", encoding="utf-8", newline="\n") as file:
            file.write(line + "\n")

    def lines(self, first: int = 0) -> Iterator[dict[str, Any]]:
        """The event lines from number ``first`` on, with their times. A line that a crash damaged is empty, so that
        the others keep their numbers; a last one without its end is passed over."""
        path = self.folder / "events.jsonl"
        if not path.is_file():
            return
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file):
                if number >= first and line.endswith("\n"):
                    yield parsed(line)

    def tail(self, start: int = 0) -> tuple[list[str], int]:
        """The whole event lines from byte ``start`` of their file on, and the byte behind the last of them."""
        path = self.folder / "events.jsonl"
        if not path.is_file():
            return [], start
        with path.open("rb") as file:
            file.seek(start)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        return whole.decode("utf-8", errors="replace").split("\n")[:-1], start + len(whole)

    def outcome(self) -> str:
        """What the last events say of how it goes: ``running``, ``finished``, ``stopped``, ``paused`` or ``failed``."""
        path = self.folder / "events.jsonl"
        size = path.stat().st_size if path.is_file() else 0
        lines, _ = self.tail(max(0, size - LAST_BYTES))
        told = (line for line in map(parsed, reversed(lines)) if line.get("kind") in ("started", "finished", "failed"))
        last = next(told, {"kind": "started"})
        return "running" if last["kind"] == "started" else str(last.get("outcome", "failed"))

    def events(self) -> Iterator[Event]:
        """All events so far."""
        return (from_dict(line) for line in self.lines() if line)


def parsed(line: str) -> dict[str, Any]:
    """The event in a line; empty where a power cut left something else there."""
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) and "kind" in values else {}


def all_runs(runs: Path) -> list[Run]:
    """Every run under ``runs``, the newest first."""
    found = [Run(folder) for folder in runs.glob("*") if (folder / "run.json").is_file()] if runs.is_dir() else []
    return sorted(found, key=lambda run: run.id, reverse=True)


def find_run(runs: Path, run_id: str) -> Run | None:
    """The run called ``run_id``, or None; the name is compared, never joined to a path."""
    return next((run for run in all_runs(runs) if run.id == run_id), None)
