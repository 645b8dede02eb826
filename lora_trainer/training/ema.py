"""An average of the last weights (exponential moving average), which is steadier than the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class Average:
    """The average of ``parameters``; ``decay`` 0 keeps none, and everything here does nothing.

    In the first steps the decay is (1 + n) / (10 + n), so that the average does not begin as the untrained weights
    (tf.train.ExponentialMovingAverage).
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], decay: float) -> None:
        self.parameters, self.decay, self.steps = list(parameters), decay, 0
        self.shadows = [parameter.detach().clone() for parameter in parameters] if decay else []

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        if not self.decay:
            return
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.shadows, [parameter.detach() for parameter in self.parameters], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the average in place of the weights for a while."""
        if not self.decay:
            yield
            return
        kept = [parameter.data for parameter in self.parameters]
        try:
            for parameter, shadow in zip(self.parameters, self.shadows, strict=True):
                parameter.data = shadow
            yield
        finally:
            for parameter, data in zip(self.parameters, kept, strict=True):
                parameter.data = data
