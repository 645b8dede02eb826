"""Our place in the WebUI's queue, and its progress bar while we have it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from modules import call_queue, progress, shared

from lora_trainer.host import compat
from lora_trainer.language import translate
from lora_trainer.status import Status

JOB = "lora_trainer"
# "Reload UI" sets the flag of the stop buttons before anything tells us of it: a flag counts when it is this old.
RELOAD_S = 2.0


class Turn:
    """At most one turn at a time: the WebUI's queue lock, its state and a task of its own."""

    def __init__(self) -> None:
        self._holder: int | None = None
        self._stage = ""
        self._asked_at: float | None = None
        self._reloading = False

    @property
    def mine(self) -> bool:
        """Whether the calling thread has the turn."""
        return self._holder == threading.get_ident()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn and have it. ``RuntimeError`` when the caller has it already: that would wait for ever."""
        if self.mine:
            raise RuntimeError("this thread has its turn already; draw pictures outside of exclusive()")
        task = f"task({JOB}-{uuid.uuid4().hex[:7]})"
        progress.add_task_to_queue(task)
        with call_queue.queue_lock:
            self._holder, self._stage, self._asked_at = threading.get_ident(), "", None
            shared.state.begin(JOB)
            progress.start_task(task)
            try:
                yield
            finally:
                progress.finish_task(task)
                shared.state.end()
                self._holder = None

    def show(self, status: Status) -> None:
        """Put a run's status into the WebUI's progress bar, again and again: other tabs' jobs reset it."""
        state = shared.state
        if status.stage != self._stage:
            self._stage, state.time_start = status.stage, time.time()  # the bar's time left is that of the stage
        training = status.stage == "training"
        state.job, state.job_count, state.job_no = JOB, 1, 0
        state.sampling_steps = status.steps if training else status.total
        state.sampling_step = status.step if training else status.done
        values = {name: getattr(status, name) for name in ("epoch", "epochs", "step", "steps", "done", "total")}
        loss = "–" if status.loss is None else f"{status.loss:.4f}"
        state.textinfo = translate(f"webui.{status.stage}", compat.language(), loss=loss, **values)

    def asked_to_stop(self) -> bool:
        """Whether the user asked the WebUI to stop what it does, which is ours, and does not only reload its page."""
        if self._holder is None or not compat.asked_to_stop():
            self._asked_at = None
            return False
        if self._reloading or compat.page_closes():
            return False
        self._asked_at = self._asked_at or time.monotonic()
        return time.monotonic() - self._asked_at >= RELOAD_S

    def stopped(self) -> bool:
        """Wait until it is certain whether a stop flag was meant for us; at once where there is none."""
        while compat.asked_to_stop():
            if self.asked_to_stop():
                return True
            time.sleep(0.1)
        return False

    def page_closes(self) -> None:
        """The WebUI takes its page and its extensions down, to build them anew."""
        self._reloading = True

    def page_opens(self) -> None:
        """They are there again, and so is what the WebUI interrupted for it."""
        self._reloading = False
        if self._holder is not None:
            shared.state.interrupted = False
