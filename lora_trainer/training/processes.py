"""Data-parallel training over several processes, which accelerate starts and connects (D13).

Every process holds the whole model and learns from its share of each batch; gradients are added up, so that together
they take the step that one process would take from the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import PartialState
from accelerate.utils import reduce


@dataclass(frozen=True)
class Team:
    """``size`` processes, of which this is number ``rank``; the first one writes."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the files and tells what happens."""
        return self.rank == 0

    @torch.no_grad()
    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace every tensor by its sum over all processes, in one message."""
        if self.size == 1:
            return
        flat = reduce(torch.cat([tensor.float().flatten() for tensor in tensors]), reduction="sum")
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def agreed(self, wish: bool) -> bool:
        """Whether any process has this wish; all of them learn of it at once."""
        if self.size == 1:
            return wish
        wishes = torch.tensor([float(wish)], device=PartialState().device)
        self.add_up([wishes])
        return bool(wishes)


def team_of(device: str) -> Team:
    """The processes that ``accelerate launch`` has started; alone without it."""
    if not torch.distributed.is_available() or not _launched():
        return Team()
    state = PartialState(cpu=device == "cpu")
    return Team(state.process_index, state.num_processes)


def _launched() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
