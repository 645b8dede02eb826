"""A run on the command line: one line a decision, and a moving one for progress where there is a terminal."""

from __future__ import annotations

import sys
from typing import TextIO

from lora_trainer.events import Event, to_dict
from lora_trainer.language import English, translate
from lora_trainer.status import Status


class Console:
    """Shows the events that it is given. Lines go to ``out``; a terminal also gets a moving line."""

    def __init__(self, language: str = English, out: TextIO | None = None) -> None:
        self.language, self.out = language, out or sys.stderr
        self.status = Status()
        self._moving = 0  # width of the moving line on the screen

    def __call__(self, event: Event) -> None:
        """Show ``event``."""
        line = to_dict(event)
        self.status.follow(line)
        text = self._text(line)
        if text:
            self._write(text)
        elif self.out.isatty():
            self._move(self._progress())

    def _text(self, line: dict[str, object]) -> str:
        status, kind = self.status, line["kind"]
        if kind == "started":
            return self._say("started", **line)
        if kind == "stage":
            return self._say(f"stage_{line['stage']}", total=line["total"])
        if kind == "validated" and line["epoch"]:
            return self._say(
                "epoch", epoch=line["epoch"], epochs=status.epochs, loss=status.loss or 0.0, held_out=line["held_out"]
            )
        if kind == "failed":
            return str(line["message"])
        return ""

    def _progress(self) -> str:
        status = self.status
        if status.stage != "training":
            return self._say("progress", done=status.done, total=status.total)
        eta = status.eta_s
        left = self._say("eta", minutes=eta / 60) if eta is not None else self._say("estimating")
        return self._say("step", step=status.step, steps=status.steps, loss=status.loss or 0.0, left=left)

    def _say(self, key: str, **values: object) -> str:
        return translate(f"console.{key}", self.language, **values)

    def _write(self, text: str) -> None:
        if self._moving:
            self.out.write("\r" + " " * self._moving + "\r")
            self._moving = 0
        self.out.write(text + "\n")
        self.out.flush()

    def _move(self, text: str) -> None:
        self.out.write("\r" + text.ljust(self._moving))
        self.out.flush()
        self._moving = max(self._moving, len(text))
