"""What a run tells the world: frozen events, one line of ``events.jsonl`` each.

Consumers (progress bar, chart, log, report, resume) compute what they show from these alone.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Anything that happened in a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Started(Event):
    """The run has been checked and begins: its size in images and steps, and where it runs."""

    name: str
    images: int
    held_out: int
    epochs: int
    steps: int
    device: str
    checkpoint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage(Event):
    """A stage begins: ``loading``, ``caching``, ``training``, ``grid`` or ``picking``; ``total`` counts its parts."""

    stage: str
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress(Event):
    """``done`` of ``total`` parts of a stage other than training (images cached, cells drawn) are done."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stepped(Event):
    """An optimizer step: numbers count from 1, ``seconds`` is the step's own time."""

    step: int
    epoch: int
    loss: float
    lr: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Validated(Event):
    """Loss on held-out images at fixed noise and timesteps, and on as many training images; epoch 0 is the base
    model."""

    epoch: int
    held_out: float
    train: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Previewed(Event):
    """A preview picture of an epoch was drawn, or with a ``step`` one within the epoch; ``path`` is relative to the run
    folder."""

    epoch: int
    index: int
    prompt: str
    path: str
    step: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved(Event):
    """A LoRA file was written: an epoch's, or with a ``step`` one between the epochs."""

    epoch: int
    path: str
    step: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared(Event):
    """The grid was drawn; ``sheet`` is its picture, relative to the run folder."""

    sheet: str
    cells: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen(Event):
    """An epoch and a weight were chosen, for these reasons (whole sentences in the run's language)."""

    epoch: int
    weight: float
    lora: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished(Event):
    """The run is over, or rests: ``outcome`` is ``finished``, ``stopped`` or ``paused``; ``report`` is relative to the
    run folder, or empty."""

    outcome: str
    report: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed(Event):
    """The run could not go on; ``message`` says what happened, why, and what to do next, ``detail`` is for a report."""

    message: str
    detail: str = ""


KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind
    for kind in (Started, Stage, Progress, Stepped, Validated, Previewed, Saved, Compared, Chosen, Finished, Failed)
}


def to_dict(event: Event) -> dict[str, Any]:
    """A plain dictionary with the event's ``kind``."""
    return {"kind": type(event).__name__.lower(), **dataclasses.asdict(event)}


def from_dict(values: dict[str, Any]) -> Event:
    """The inverse of ``to_dict``; ``KeyError`` on an unknown kind. Keys that the kind lacks (such as ``time``) are
    passed over."""
    kind = KINDS[values["kind"]]
    names = {field.name for field in dataclasses.fields(kind)}
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in names}
    return kind(**plain)
