"""What a run looks like at this moment, computed from its events alone: for the tab, the command line and the API."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

ESTIMATE_AFTER = 30  # steps before a time left is worth saying
SPEED_OVER = 50  # steps that the speed is taken over


@dataclass(kw_only=True, slots=True)
class Status:
    """A run at a moment: ``follow`` every event line and read it. ``state`` is ``running``, ``finished``, ``stopped``,
    ``paused`` or ``failed``; ``stage`` is that of the ``Stage`` event."""

    state: str = "running"
    stage: str = "loading"
    name: str = ""
    images: int = 0
    step: int = 0
    steps: int = 0
    epoch: int = 0
    epochs: int = 0
    done: int = 0  # parts of a stage other than training
    total: int = 0
    lines: int = 0  # event lines followed so far
    losses: list[float] = field(default_factory=list)  # of every step
    seconds: list[float] = field(default_factory=list)  # of every step
    validated: list[tuple[int, float, float]] = field(default_factory=list)  # epoch, held out, train
    rates: list[float] = field(default_factory=list)  # learning rate of every step
    previews: list[tuple[int, int, str, str, int]] = field(default_factory=list)  # epoch, index, prompt, path, step
    files: list[tuple[int, str]] = field(default_factory=list)  # epoch, path
    sheet: str = ""
    chosen: dict[str, Any] = field(default_factory=dict)  # epoch, weight, lora, reasons
    report: str = ""
    message: str = ""
    detail: str = ""

    @property
    def loss(self) -> float | None:
        """Mean loss of the last steps."""
        return statistics.fmean(self.losses[-SPEED_OVER:]) if self.losses else None

    @property
    def eta_s(self) -> float | None:
        """Seconds of training left, or None while it cannot be told honestly."""
        if self.stage != "training" or self.step < min(ESTIMATE_AFTER, self.steps / 2) or self.step_s is None:
            return None
        return self.step_s * (self.steps - self.step)

    @property
    def step_s(self) -> float | None:
        """Seconds that a step takes, over the last ones."""
        return statistics.fmean(self.seconds[-SPEED_OVER:]) if self.seconds else None

    @property
    def fraction(self) -> float:
        """Share of the stage at hand that is done, 0 ... 1."""
        done, total = (self.step, self.steps) if self.stage == "training" else (self.done, self.total)
        return done / total if total else 0.0

    def follow(self, line: dict[str, Any]) -> None:
        """Take in one more event line."""
        self.lines += 1
        kind = line.get("kind")
        if kind == "started":
            self.state = "running"  # again, where a run goes on
            self.name, self.images, self.steps, self.epochs = (
                line[key] for key in ("name", "images", "steps", "epochs")
            )
        elif kind == "stage":
            self.stage, self.done, self.total = line["stage"], 0, line["total"]
        elif kind == "progress":
            self.done, self.total = line["done"], line["total"]
        elif kind == "stepped":
            self.step, self.epoch = line["step"], line["epoch"]
            for kept, key in ((self.losses, "loss"), (self.seconds, "seconds"), (self.rates, "lr")):
                del kept[self.step - 1 :]  # a run that goes on from an earlier state takes these steps again
                kept.append(line.get(key, 0.0))
        else:
            self._result(kind, line)

    def _result(self, kind: str | None, line: dict[str, Any]) -> None:
        if kind == "validated":
            self.validated.append((line["epoch"], line["held_out"], line["train"]))
        elif kind == "previewed":
            preview = (line["epoch"], line["index"], line["prompt"], line["path"], line.get("step", 0))
            if preview not in self.previews:
                self.previews.append(preview)
        elif kind == "saved" and not line.get("step"):
            self.files = [file for file in self.files if file[0] != line["epoch"]]
            self.files.append((line["epoch"], line["path"]))
        elif kind == "compared":
            self.sheet = line["sheet"]
        elif kind == "chosen":
            self.chosen = {key: line[key] for key in ("epoch", "weight", "lora", "reasons")}
        elif kind == "finished":
            self.state, self.report = line["outcome"], line["report"]
        elif kind == "failed":
            self.state, self.message, self.detail = "failed", line["message"], line["detail"]


def status_of(lines: Iterable[dict[str, Any]]) -> Status:
    """The status after all ``lines``."""
    status = Status()
    for line in lines:
        status.follow(line)
    return status
