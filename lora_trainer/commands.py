"""What the world tells a run: a handful of flags that any thread may set and the training loop reads."""

from __future__ import annotations

import threading


class Commands:
    """Stop now (after the step at hand) or after the epoch at hand; both keep every finished epoch."""

    def __init__(self) -> None:
        self._now = threading.Event()
        self._after_epoch = threading.Event()

    def stop_now(self) -> None:
        """Ask the run to stop after the step at hand."""
        self._now.set()

    def stop_after_epoch(self) -> None:
        """Ask the run to stop when the epoch at hand is saved."""
        self._after_epoch.set()

    @property
    def stopping_now(self) -> bool:
        """Whether the run was asked to stop after the step at hand."""
        return self._now.is_set()

    @property
    def stopping_after_epoch(self) -> bool:
        """Whether the run was asked to stop at the end of the epoch at hand, or at once."""
        return self._after_epoch.is_set() or self._now.is_set()
