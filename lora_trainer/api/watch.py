"""What the runs of a host look like now: every run is followed once, and only new event lines are read again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lora_trainer.api.series import Series, loss_series
from lora_trainer.errors import BadSettings, Unknown
from lora_trainer.host.holding import is_held
from lora_trainer.picking.lines import MOST_POINTS
from lora_trainer.run import Run, all_runs, find_run, parsed
from lora_trainer.settings import Settings
from lora_trainer.status import Status

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

CURRENT = "current"  # stands for the id of the run that goes on, or of the newest one
QUIET_S = 60.0  # after this long without an event, a run counts as broken off where locks cannot tell
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class View:
    """A run at a moment.

    ``state`` is that of its status, or ``interrupted``; ``stopping`` is ``now``, ``after_epoch``, ``pause`` or empty.
    """

    run: Run
    status: Status
    settings: Settings | None
    state: str
    stopping: str
    ours: bool  # goes on in this process, so it can be stopped here
    series: Series | None = None  # its lines for the chart, where they are known already


class Watch:
    """Follows the runs of ``worker``. All methods may be called from any thread."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._lock = threading.Lock()
        self._statuses: dict[str, Status] = {}
        self._read: dict[str, int] = {}  # bytes of each run's events
        self._settings: dict[str, Settings | None] = {}
        self._charts: dict[str, tuple[int, tuple[object, ...], Series]] = {}  # steps, and what else they were drawn of

    def runs(self) -> list[Run]:
        """All runs, the newest first."""
        return all_runs(self.worker.host.paths.runs)

    def find(self, run_id: str) -> Run | None:
        """The run of that id, or the current one."""
        if run_id != CURRENT:
            return find_run(self.worker.host.paths.runs, run_id)
        return self.worker.run or next(iter(self.runs()), None)

    def found(self, run_id: str) -> Run:
        """The same, but raises ``Unknown`` where there is none."""
        run = self.find(run_id)
        if run is None:
            raise Unknown("run_unknown")
        return run

    @contextmanager
    def view(self, run: Run) -> Iterator[View]:
        """The run as it is now; nobody else reads on while it is looked at."""
        with self._lock:
            status = self._statuses.setdefault(run.id, Status())
            lines, self._read[run.id] = run.tail(self._read.get(run.id, 0))
            for line in lines:
                status.follow(parsed(line))
            ours = self._is_ours(run)
            state = self._state(run, status.state)
            stopping, series = self._stopping(ours), self._chart(run.id, status)
            yield View(run, status, self.settings(run), state, stopping, ours, series)

    def _chart(self, run_id: str, status: Status) -> Series:
        """The lines of the chart: drawn anew only when a screen would show the difference, for they take a while."""
        steps, ends = len(status.losses), (len(status.validated), status.state, status.stage)
        known = self._charts.get(run_id)
        if known is None or known[1] != ends or not 0 <= steps - known[0] <= steps // MOST_POINTS:
            known = self._charts[run_id] = (steps, ends, loss_series(status))
        return known[2]

    def settings(self, run: Run) -> Settings | None:
        """A run's settings, or None when this version cannot read them."""
        if run.id not in self._settings:
            self._settings[run.id] = _settings_of(run)
        return self._settings[run.id]

    def state(self, run: Run) -> str:
        """A run's state alone, which its last event tells: quick, however long the run was."""
        return self._state(run, run.outcome())

    def _is_ours(self, run: Run) -> bool:
        return self.worker.busy and self.worker.run is not None and self.worker.run.id == run.id

    def _state(self, run: Run, told: str) -> str:
        if told != "running" or self._is_ours(run):
            return told
        goes_on = is_held(run.folder)
        if goes_on is None:
            goes_on = time.time() - _last_sign(run) < QUIET_S
        return told if goes_on else INTERRUPTED

    def _stopping(self, ours: bool) -> str:
        if not ours:
            return ""
        commands = self.worker.commands
        if commands.pausing:
            return "pause"
        return "now" if commands.stopping_now else "after_epoch" if commands.stopping_after_epoch else ""


def inside(folder: Path, relative: str) -> Path | None:
    """The file ``relative`` of ``folder``; None when there is none, or when it lies elsewhere."""
    path = (folder / relative).resolve()
    return path if relative and path.is_relative_to(folder.resolve()) and path.is_file() else None


def _settings_of(run: Run) -> Settings | None:
    try:
        return run.settings()
    except (OSError, ValueError, BadSettings):
        return None


def _last_sign(run: Run) -> float:
    """When the run last wrote an event, or was made."""
    for name in ("events.jsonl", "run.json"):
        if (run.folder / name).is_file():
            return (run.folder / name).stat().st_mtime
    return 0.0
