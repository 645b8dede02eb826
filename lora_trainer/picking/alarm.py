"""A notice while a run goes on: its losses look like overfitting. Nothing is done about it; images decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lora_trainer.language import English, translate
from lora_trainer.picking.choice import RISE, WINDOW, is_loss, smoothed

PATIENCE = 3  # epochs without a new lowest loss, at least; and as many as it took to reach the lowest
GROWING = 3  # epochs in a row in which the gap has to grow
GAP = 0.1  # shares of the base model's loss between training images and held-out ones

Measured = tuple[int, float, float]  # epoch, held-out loss, loss on training images


@dataclass(frozen=True)
class Alarm:
    """What to say: the text ``alarm.<key>`` with ``values``."""

    key: str
    values: Mapping[str, float] = field(default_factory=dict)

    def text(self, language: str = English) -> str:
        """The sentence in ``language``."""
        return translate(f"alarm.{self.key}", language, **self.values)


def alarm(measured: Sequence[Measured]) -> Alarm | None:
    """Whether held-out loss has turned up for long, or the gap to the training images grows; None where all is well,
    or too little was measured. Epoch 0 is the base model.

    The lowest held-out loss is where useful epochs begin, not where they end (``picking.choice``), so a rise counts
    only when it lasts as long as the fall did.
    """
    held_out = {epoch: loss for epoch, loss, _ in measured if is_loss(loss)}
    train = {epoch: loss for epoch, _, loss in measured if is_loss(loss)}
    return _rising(held_out) or _growing(held_out, train)


def _rising(held_out: Mapping[int, float]) -> Alarm | None:
    epochs = {epoch: loss for epoch, loss in held_out.items() if epoch > 0}
    if len(epochs) <= PATIENCE:
        return None
    smooth = smoothed(epochs)
    best = min(smooth, key=lambda epoch: smooth[epoch])
    last = max(smooth)
    since = last - best
    rise = smooth[last] / smooth[best] - 1
    if since < max(PATIENCE, best) or rise <= RISE or epochs[last] <= epochs[best]:
        return None
    return Alarm("rising", {"best": best, "epochs": since, "percent": round(100 * rise), "until": WINDOW * best})


def _growing(held_out: Mapping[int, float], train: Mapping[int, float]) -> Alarm | None:
    """The gap in shares of the base model's losses, each kind of images by its own."""
    if not (held_out.get(0) and train.get(0)):
        return None
    both = sorted(epoch for epoch in held_out if epoch in train)
    shares = {epoch: (held_out[epoch] / held_out[0], train[epoch] / train[0]) for epoch in both}
    last = both[-(GROWING + 1) :]
    if len(last) <= GROWING or last[0] == 0:
        return None
    gaps = [shares[epoch][0] - shares[epoch][1] for epoch in last]
    grows = all(after > before for before, after in pairwise(gaps))
    falls = held_out[last[-1]] < held_out[last[0]] * (1 - RISE)
    if not grows or falls or gaps[-1] < GAP:
        return None
    return Alarm("gap", {"epochs": last[-1] - last[0], "points": round(100 * gaps[-1])})
