"""What the world tells a run: a handful of flags that any thread may set and the training loop reads."""

from __future__ import annotations

import threading


class Commands:
    """Stop now (after the step at hand) or after the epoch at hand, pause, or draw the previews at once. All of them
    keep every finished epoch."""

    def __init__(self) -> None:
        self._now = threading.Event()
        self._after_epoch = threading.Event()
        self._pause = threading.Event()
        self._sample = threading.Event()

    def stop_now(self) -> None:
        """Ask the run to stop after the step at hand."""
        self._now.set()

    def stop_after_epoch(self) -> None:
        """Ask the run to stop when the epoch at hand is saved."""
        self._after_epoch.set()

    def pause(self) -> None:
        """Ask the run to keep its state after the step at hand, and to give the memory and the host's turn back."""
        self._pause.set()
        self._now.set()

    def sample(self) -> None:
        """Ask for the previews, drawn with the weights as they are after the step at hand."""
        self._sample.set()

    @property
    def stopping_now(self) -> bool:
        """Whether the run was asked to stop after the step at hand, for good or for a pause."""
        return self._now.is_set()

    @property
    def stopping_after_epoch(self) -> bool:
        """Whether the run was asked to stop at the end of the epoch at hand, or at once."""
        return self._after_epoch.is_set() or self._now.is_set()

    @property
    def pausing(self) -> bool:
        """Whether the run was asked to pause."""
        return self._pause.is_set()

    def wants_sample(self) -> bool:
        """Whether previews were asked for since this was last asked."""
        wanted = self._sample.is_set()
        self._sample.clear()
        return wanted
