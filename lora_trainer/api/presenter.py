"""A run as the page shows it: numbers for whoever computes, and whole sentences in the language asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from lora_trainer.api.series import loss_series
from lora_trainer.api.watch import INTERRUPTED, View
from lora_trainer.language import translate
from lora_trainer.picking.alarm import alarm
from lora_trainer.picking.lines import Point
from lora_trainer.picking.trash import ENDING, trashed
from lora_trainer.run import Run
from lora_trainer.status import Status

STAGES = ("loading", "caching", "training", "grid", "picking")
NOTHING: dict[str, Any] = {"id": None, "state": "none", "lines": 0, "ours": False, "stopping": "", "can": []}
RESTING = ("paused", "stopped", INTERRUPTED, "failed")
GB = 1024**3

Card = Mapping[str, Any]  # the graphics card: its "total" and "free" memory


def brief(view: View) -> dict[str, Any]:
    """What may change without an event."""
    return {
        "id": view.run.id,
        "lines": view.status.lines,
        "state": view.state,
        "ours": view.ours,
        "stopping": view.stopping,
        "can": possible(view),
    }


def possible(view: View) -> list[str]:
    """What can be done with the run now: the orders that it would follow, going on, training further."""
    status = view.status
    if view.ours:
        told = {"": ["stop_now", "stop_after_epoch", "pause", "sample"], "after_epoch": ["stop_now"]}
        orders = told.get(view.stopping, [])
        return orders if status.stage == "training" else [order for order in orders if order in ("stop_now", "pause")]
    if view.state == "running":  # in another process
        return []
    left = status.step == 0 or (status.step < status.steps and has_state(view.run))
    goes_on = view.state == "paused" or (view.state in RESTING and left)
    return (["continue"] if goes_on else []) + (["train_further"] if status.files else [])


def has_state(run: Run) -> bool:
    """Whether the state of its training is kept, from which it could go on."""
    return any((run.folder / "state").glob("*.safetensors"))


def present(view: View, language: str, card: Card | None = None) -> dict[str, Any]:
    """Everything about the run. Pictures are named by addresses relative to ours, never by paths."""
    status, running, series = view.status, view.state == "running", dict(view.series or loss_series(view.status))
    rates = series.pop("lr")
    memory = {"used": card["total"] - card["free"], "total": card["total"]} if card and view.ours else None
    return {
        **brief(view),
        "name": status.name or (view.settings.output.name if view.settings else view.run.id),
        "stage": status.stage,
        "fraction": round(status.fraction, 4) if running else None,
        **{key: getattr(status, key) for key in ("images", "step", "steps", "epoch", "epochs", "done", "total")},
        "eta_s": status.eta_s if running else None,
        "speed": _rounded(1 / status.step_s) if status.step_s else None,
        "memory": memory,
        "alarm": _alarm(status, language),
        "loss": _rounded(status.loss),
        "series": series,
        "lr": rates,
        "validated": [
            {"epoch": epoch, "held_out": _rounded(held_out), "train": _rounded(train)}
            for epoch, held_out, train in status.validated
        ],
        "previews": _previews(view),
        **_files(view),
        "chosen": _chosen(view),
        "sheet": f"runs/{view.run.id}/sheet" if status.sheet else "",
        "report": f"runs/{view.run.id}/report" if status.report else "",
        "message": status.message,
        "detail": status.detail,
        "texts": {
            **texts(view, language),
            "chart": chart_text(status, series["smooth"], language),
            "speed": speed_text(status, language),
            "memory": memory_text(memory, language),
        },
    }


def _alarm(status: Status, language: str) -> dict[str, str] | None:
    """What the losses warn of."""
    found = alarm(status.validated)
    return {"text": found.text(language)} if found else None


def _files(view: View) -> dict[str, Any]:
    """The LoRA files but those that were put away, and how many these are."""
    paths = {epoch: Path(path) for epoch, path in view.status.files}
    away = [path.name for folder in {path.parent for path in paths.values()} for path in trashed(view.run.id, folder)]
    files = [
        {"epoch": epoch, "name": _stem(str(path)), "size": _size(path), "call": call(str(path), 1.0, view)}
        for epoch, path in paths.items()
        if f"{path.name}{ENDING}" not in away
    ]
    return {"files": files, "trashed": len(away)}


def _size(path: Path) -> int:
    """Bytes of a file; 0 where it is gone."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _previews(view: View) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "step": step, "index": index, "prompt": prompt, "url": f"runs/{view.run.id}/picture/{n}"}
        for n, (epoch, index, prompt, _, step) in enumerate(view.status.previews)
    ]


def call(path: str, weight: float, view: View) -> str:
    """What a prompt needs to use a LoRA file: the LoRA at a weight, and the trigger word."""
    trigger = view.settings.data.trigger.strip() if view.settings else ""
    return f"<lora:{_stem(path)}:{weight:g}> {trigger}".strip()


def texts(view: View, language: str) -> dict[str, str]:
    """The sentences that hold numbers."""

    def say(key: str, **values: object) -> str:
        return translate(f"run.{key}", language, **values)

    status = view.status
    if view.state != "running":
        ended = say(f"state_{view.state}", files=len(status.files))
        return {"headline": ended, "position": "", "eta": "", "progress": "", "announcement": ended}
    percent = math.floor(status.fraction * 100)
    stage = status.stage if status.stage in STAGES else "other"
    headline, position, left = say(f"stage_{stage}"), _position(status, language), eta_text(status, language)
    return {
        "headline": headline,
        "position": position,
        "eta": left,
        "progress": say("progress", headline=headline, position=position, percent=percent) if position else headline,
        "announcement": say("announcement", headline=headline, position=position, left=left)
        if position and left
        else headline,
    }


def eta_text(status: Status, language: str) -> str:
    """How long the training still takes, as precise as it can honestly be told."""
    if status.stage != "training":
        return ""
    seconds = status.eta_s
    if seconds is None:
        return translate("run.eta_estimating", language)
    if seconds < 60:
        return translate("run.eta_soon", language)
    hours, rest = divmod(round(seconds / 60), 60)
    return translate("run.eta_hours" if hours else "run.eta_minutes", language, hours=hours, minutes=rest)


def speed_text(status: Status, language: str) -> str:
    """How fast it learns; empty before the first step."""
    if not status.step_s:
        return ""
    if status.step_s >= 1:
        return translate("run.speed_slow", language, seconds=status.step_s)
    return translate("run.speed_fast", language, steps=1 / status.step_s)


def memory_text(memory: Mapping[str, int] | None, language: str) -> str:
    """How much of the graphics card's memory is taken; empty where nobody knows."""
    if memory is None:
        return ""
    return translate("run.memory", language, used=memory["used"] / GB, total=memory["total"] / GB)


def _position(status: Status, language: str) -> str:
    if status.stage == "training" and status.steps:
        values = {"epoch": max(1, status.epoch), "epochs": status.epochs, "step": status.step, "steps": status.steps}
        return translate("run.position_training", language, **values)
    if status.total > 1:
        key = "position_grid" if status.stage == "grid" else "position_other"
        return translate(f"run.{key}", language, done=status.done, total=status.total)
    return ""


def chart_text(status: Status, smooth: Sequence[Point], language: str) -> str:
    """The chart in the report's words."""
    if len(smooth) < 2:
        return ""
    said = translate("curve.steps", language, first=smooth[0][1], last=smooth[-1][1], steps=len(status.losses))
    measured = {epoch: loss for epoch, loss, _ in status.validated if math.isfinite(loss) and loss > 0}
    if not measured:
        return said
    (begin, first), (end, last) = min(measured.items()), max(measured.items())
    lowest = min(measured, key=lambda epoch: measured[epoch])
    low = measured[lowest]
    also = translate("curve.held_out", language, first=first, begin=begin, last=last, end=end, low=low, lowest=lowest)
    return translate("run.sentences", language, first=said, second=also)


def _chosen(view: View) -> dict[str, Any] | None:
    """What to use: the choice, or without one nothing; the page then offers the files."""
    chosen = view.status.chosen
    if not chosen:
        return None
    return {
        "epoch": chosen["epoch"],
        "weight": chosen["weight"],
        "name": _stem(chosen["lora"]),
        "reasons": list(chosen["reasons"]),
        "call": call(chosen["lora"], chosen["weight"], view),
    }


def _stem(path: str) -> str:
    """The name that a prompt calls a file by; paths may come from another system."""
    return PurePath(path.replace("\\", "/")).name.removesuffix(".safetensors")


def _rounded(value: float | None) -> float | None:
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None
