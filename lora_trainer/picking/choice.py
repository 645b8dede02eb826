"""Which epoch and weight to take, why, and what else to try.

The first rule reads the held-out loss. Its lowest point is where the useful epochs begin, not where they end: images
were judged usable up to about three times as far (github.com/spacepxl/demystifying-sd-finetuning). So the lowest epoch
is taken, the later one of two equals, and the reasons name the epochs after it that deserve a look.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lora_trainer.disk import write_whole
from lora_trainer.events import Validated
from lora_trainer.language import English, translate

CHOICE_FILE = "choice.json"

# What is compared, in this order: the measure, and whether low (+1) or high (-1) is better. A missing one is worst.
RULES = (("held_out_smooth", 1), ("epoch", -1), ("weight_off", 1), ("weight", 1))

WINDOW = 3  # epochs up to this many times the lowest one are worth a look
RISE = 0.01  # a held-out loss that ends higher by this share has risen, not just stayed level
FEWEST = 3  # epochs with a held-out loss, below which its lowest says little


@dataclass(frozen=True)
class Candidate:
    """An epoch at a weight, and what was measured of it, by name."""

    epoch: int
    weight: float
    measures: Mapping[str, float]

    def value(self, measure: str) -> float | None:
        """A measure, its own epoch and weight among them; None when it was not taken."""
        own = {"epoch": float(self.epoch), "weight": self.weight}
        return own.get(measure, self.measures.get(measure))

    def standing(self) -> tuple[float, ...]:
        """What the rules make of it; lower is better."""
        values = ((sign, self.value(measure)) for measure, sign in RULES)
        return tuple(math.inf if value is None else sign * value for sign, value in values)


@dataclass(frozen=True)
class Reason:
    """A sentence to be said in any language: the key of its text, ``choice.<key>``, and the values that fill it."""

    key: str
    values: Mapping[str, float] = field(default_factory=dict)

    def text(self, language: str = English) -> str:
        """The sentence in ``language``."""
        return translate(f"choice.{self.key}", language, **self.values)


@dataclass(frozen=True)
class Choice:
    """The recommended epoch and weight with the reasons; not ``sure`` where measures cannot tell but the eye can."""

    epoch: int
    weight: float
    reasons: tuple[Reason, ...]
    runner_up: tuple[int, float] | None
    sure: bool


def candidates(epochs: Sequence[int], weights: Sequence[float], curve: Sequence[Validated]) -> tuple[Candidate, ...]:
    """Every epoch at every weight with what ``curve`` tells of it; epoch 0 of the curve is the base model.

    ``…_smooth`` is averaged with the neighbours. A loss that is not a positive number was not measured: nothing was
    held out.
    """
    by_epoch: dict[int, dict[str, float]] = {epoch: {} for epoch in epochs}
    for name in ("held_out", "train"):
        losses = {point.epoch: getattr(point, name) for point in curve if is_loss(getattr(point, name))}
        base = losses.pop(0, None)
        for epoch, smooth in smoothed(losses).items():
            measures = {name: losses[epoch], f"{name}_smooth": smooth, **({f"{name}_base": base} if base else {})}
            by_epoch.setdefault(epoch, {}).update(measures)
    return tuple(
        Candidate(epoch, weight, {**by_epoch[epoch], "weight_off": round(abs(weight - 1), 6)})
        for epoch in epochs
        for weight in weights
    )


def is_loss(value: float) -> bool:
    """Whether it was measured: where nothing is held out, or the loss broke down, it is no positive number."""
    return math.isfinite(value) and value > 0


def smoothed(losses: Mapping[int, float]) -> dict[int, float]:
    """Losses by epoch, each averaged with its neighbours (1, 2, 1); a curve that only falls still only falls."""
    epochs = sorted(losses)
    values = [losses[epoch] for epoch in epochs]
    padded = [*values[:1], *values, *values[-1:]]
    neighbours = zip(padded, padded[1:], padded[2:], strict=False)
    averages = [(before + 2 * here + after) / 4 for before, here, after in neighbours]
    return dict(zip(epochs, averages, strict=True))


def choose(candidates: Sequence[Candidate]) -> Choice:
    """The best candidate by the rules; the runner-up is the best of another epoch. ``ValueError`` if there is none."""
    best = min(candidates, key=Candidate.standing)
    others = [candidate for candidate in candidates if candidate.epoch != best.epoch]
    second = min(others, key=Candidate.standing, default=None)
    runner_up = (second.epoch, second.weight) if second else None
    peers = sorted((c for c in candidates if c.weight == best.weight), key=lambda c: c.epoch)
    reasons, sure = _epoch_reasons(best, peers)
    weight = Reason("weight_one" if best.weight == 1 else "weight_near", {"weight": best.weight})
    return Choice(best.epoch, best.weight, (*reasons, weight), runner_up, sure)


def _epoch_reasons(best: Candidate, peers: Sequence[Candidate]) -> tuple[list[Reason], bool]:
    """Why this epoch, and whether that is sure; ``peers`` are all epochs at its weight, in order."""
    measured = [peer for peer in peers if "held_out" in peer.measures]
    if not measured:
        return [*_gain("train", best), Reason("unmeasured", {"epoch": best.epoch})], False
    reasons = _gain("held_out", best)
    learned = best.measures["held_out"] < best.measures.get("held_out_base", math.inf)
    last = measured[-1]
    if best is last:
        fell = len(measured) > 1 and measured[-2].measures["held_out_smooth"] > best.measures["held_out_smooth"]
        return [*reasons, *([Reason("falling", {"epoch": best.epoch})] if fell else [])], False
    risen = all(last.measures[name] > best.measures[name] * (1 + RISE) for name in ("held_out", "held_out_smooth"))
    end = {"epoch": best.epoch, "loss": last.measures["held_out"], "last": last.epoch}
    reasons.append(Reason("rises" if risen else "level", end))
    reasons.append(Reason("window", {"epoch": best.epoch, "until": min(WINDOW * best.epoch, peers[-1].epoch)}))
    return reasons, learned and len(measured) >= FEWEST


def _gain(name: str, best: Candidate) -> list[Reason]:
    """What the loss ``name`` says of the chosen epoch, compared with the base model's where that is known."""
    if name not in best.measures:
        return []
    loss, base = best.measures[name], best.measures.get(f"{name}_base")
    values = {"epoch": best.epoch, "loss": loss}
    if base is None:
        return [Reason(f"{name}_alone", values)]
    if loss >= base:
        return [Reason(f"{name}_worse", {**values, "base": base})]
    share = 100 * (1 - loss / base)
    return [Reason(f"{name}_better", {**values, "percent": round(share, 0 if share >= 10 else 1)})]


def choice_to_json(choice: Choice) -> dict[str, Any]:
    """Plain values, for a file or the browser."""
    return {
        "epoch": choice.epoch,
        "weight": choice.weight,
        "reasons": [[reason.key, dict(reason.values)] for reason in choice.reasons],
        "runner_up": list(choice.runner_up) if choice.runner_up else None,
        "sure": choice.sure,
    }


def choice_from_json(values: Mapping[str, Any]) -> Choice:
    """The inverse of ``choice_to_json``."""
    reasons = tuple(Reason(key, filling) for key, filling in values["reasons"])
    runner_up = tuple(values["runner_up"]) if values["runner_up"] else None
    return Choice(values["epoch"], values["weight"], reasons, runner_up, values["sure"])


def write_choice(folder: Path, choice: Choice) -> Path:
    """Write ``choice.json`` into the grid's folder."""
    path = folder / CHOICE_FILE
    write_whole(path, json.dumps(choice_to_json(choice), ensure_ascii=False, indent=1))
    return path


def read_choice(folder: Path) -> Choice | None:
    """The choice in the grid's folder; None when none was made yet."""
    path = folder / CHOICE_FILE
    return choice_from_json(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
