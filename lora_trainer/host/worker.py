"""One run at a time, on a thread of its own: what the tab's buttons and the command line hold on to.

It is the outer edge of a run: whatever goes wrong inside becomes a ``Failed`` event with a sentence for the user, and
a log entry.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from lora_trainer.commands import Commands
from lora_trainer.errors import Busy, UserError
from lora_trainer.events import Event, Failed, Finished
from lora_trainer.host.engine import load_engine
from lora_trainer.host.holding import held
from lora_trainer.host.protocol import Host
from lora_trainer.language import English, translate
from lora_trainer.run import Run
from lora_trainer.settings import Settings

if TYPE_CHECKING:
    from lora_trainer.job import Job
    from lora_trainer.training.processes import Team

log = logging.getLogger(__name__)


class Worker:
    """Runs jobs on ``host``, one at a time. All methods may be called from any thread."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.commands = Commands()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._job: Job | None = None
        self._paused = False
        self.problem: UserError | None = None
        """Why no run can begin on this computer, as far as somebody has looked."""

    def look(self) -> None:
        """Load what a run needs, a second of work, so that ``problem`` is known before anybody starts one."""
        try:
            load_engine()
            self.problem = None
        except UserError as error:
            self.problem = error

    @property
    def busy(self) -> bool:
        """Whether a run is going on."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def paused(self) -> bool:
        """Whether the last run of this session rests, so that others have the memory."""
        return self._paused and not self.busy

    @property
    def run(self) -> Run | None:
        """The run that is going on, or the last one of this session."""
        return self._job.run if self._job else None

    def start(self, settings: Settings, language: str = English, team: Team | None = None) -> Run:
        """Check all that can be checked, then begin. Raises ``Busy`` while a run goes on, and any other ``UserError``
        at once."""
        return self._begin(lambda: load_engine().prepare(settings, self.host, language, team))

    def resume(self, run: Run, language: str = English) -> Run:
        """Go on with a run that was stopped, paused or broken off. Raises as ``start``."""
        return self._begin(lambda: load_engine().reopen(run, self.host, language))

    def _begin(self, make: Callable[[], Job]) -> Run:
        with self._lock:
            if self.busy and self._job:
                raise Busy("busy", name=self._job.settings.output.name)
            job = make()
            self._job, self.commands, self._paused = job, Commands(), False
            self._thread = threading.Thread(
                target=self._work, args=(job, self.commands), name="lora_trainer", daemon=True
            )
            self._thread.start()
            return job.run

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the run, at most ``timeout`` seconds; whether it has ended."""
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.busy

    def _work(self, job: Job, commands: Commands) -> None:
        with held(job.run.folder):
            self._carry_out(job, commands)

    def _carry_out(self, job: Job, commands: Commands) -> None:
        try:
            for event in load_engine().work(job, commands):
                self._tell(job, event)
                if self.host.interrupted():
                    commands.stop_now()
        except UserError as error:
            log.info("run %s failed: %s", job.run.id, error)
            self._tell(job, Failed(message=error.text(job.language)))
        except Exception as error:
            log.exception("run %s failed", job.run.id)
            message = translate("error.unexpected", job.language, reason=error, folder=job.run.folder)
            self._tell(job, Failed(message=message, detail=traceback.format_exc()))

    def _tell(self, job: Job, event: Event) -> None:
        if isinstance(event, Finished):
            self._paused = event.outcome == "paused"
        job.run.append(event)
        self.host.report(event)
