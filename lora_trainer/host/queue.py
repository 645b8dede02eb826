"""Runs that wait for their turn: kept in a file, so that they outlive a restart, and begun one after the other.

It is an outer edge like the worker: a run that cannot begin is marked with the reason, and the next one has its turn.
A paused run holds the queue, for its user wants the memory for something else.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_trainer.disk import write_whole
from lora_trainer.errors import Busy, Unknown, UserError
from lora_trainer.language import English, translate
from lora_trainer.settings import Settings, from_flat, to_flat

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

log = logging.getLogger(__name__)

WAITING, RUNNING, FAILED = "waiting", "running", "failed"
AGAIN_S = 0.2  # between two looks at a worker that somebody else has set to work


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A run that waits, runs or could not begin. ``changed`` names the settings that tell it from its project's."""

    id: str
    project: str
    name: str
    values: dict[str, Any]
    language: str = English
    changed: tuple[str, ...] = ()
    state: str = WAITING
    run: str = ""
    message: str = ""


class Queue:
    """The runs that wait for ``worker``, kept in ``file``. ``begun`` is told of the project and the run of each that
    begins. All methods may be called from any thread."""

    def __init__(
        self, worker: Worker, file: Path, begun: Callable[[str, str], None] = lambda project, run: None
    ) -> None:
        self.worker, self._file, self._begun = worker, file, begun
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._released = False
        self._entries, self._held = self._read()

    @property
    def held(self) -> bool:
        """Whether the queue waits for a paused run: one of this session, or the one before where none has run yet."""
        return self.worker.paused or (self._held and self.worker.run is None)

    def entries(self) -> list[Entry]:
        """All entries, in the order in which they have their turns; one that runs comes first."""
        with self._lock:
            current = self.worker.run.id if self.worker.busy and self.worker.run else ""
            self._entries = [e for e in self._entries if e.state != RUNNING or not e.run or e.run == current]
            return list(self._entries)

    def add(self, project: str, settings: Settings, language: str = English, changed: Sequence[str] = ()) -> Entry:
        """Let a run wait at the end of the queue; it begins at once where nothing is going on."""
        entry = Entry(
            id=uuid.uuid4().hex[:12],
            project=project,
            name=settings.output.name,
            values=to_flat(settings),
            language=language,
            changed=tuple(changed),
        )
        with self._lock:
            self._entries.append(entry)
            self._write()
        self.wake()
        return entry

    def move(self, entry_id: str, to: int) -> None:
        """Put an entry at place ``to`` among those that wait, counted from 0. Raises ``Unknown``, or ``Busy`` where it
        runs."""
        with self._lock:
            entry = self._found(entry_id)
            running = [e for e in self.entries() if e.state == RUNNING]
            others = [e for e in self.entries() if e.state != RUNNING and e.id != entry_id]
            others.insert(max(0, to), entry)
            self._entries = [*running, *others]
            self._write()

    def remove(self, entry_id: str) -> None:
        """Take an entry out. Raises ``Unknown``, or ``Busy`` where it runs."""
        with self._lock:
            entry = self._found(entry_id)
            self._entries.remove(entry)
            self._write()

    def release(self) -> None:
        """Let the next run begin, although one is paused."""
        with self._lock:
            self._released = True
        self.wake()

    def wake(self) -> None:
        """Have the runs begin that wait, one after the other: to be called when the program has started, and when a
        paused run goes on."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            if self._next() is not None:
                self._thread = threading.Thread(target=self._serve, name="lora_trainer queue", daemon=True)
                self._thread.start()

    def _next(self) -> Entry | None:
        """The entry whose turn it is, unless a paused run holds the queue."""
        if self.held and not self._released:
            return None
        return next((entry for entry in self._entries if entry.state == WAITING), None)

    def _serve(self) -> None:
        """Begin one run after the other until none waits, or one is paused."""
        while True:
            self.worker.wait()
            with self._lock:
                self.entries()  # without the one that has ended
                self._held, entry = self.held, self._next()
                if entry is None:
                    self._thread = None
                    self._write()
                    return
                self._put(replace(entry, state=RUNNING, run=""))
            if self._started(entry):
                self._released = False

    def _started(self, entry: Entry) -> bool:
        try:
            run = self.worker.start(from_flat(entry.values), entry.language)
        except Busy:
            self._put(entry)  # somebody was faster: its turn comes next
            time.sleep(AGAIN_S)
            return False
        except UserError as error:
            log.info("%s could not begin: %s", entry.name, error)
            self._put(replace(entry, state=FAILED, message=error.text(entry.language)))
            return False
        except Exception as error:
            log.exception("%s could not begin", entry.name)
            message = translate("run.queue_failed", entry.language, reason=error)
            self._put(replace(entry, state=FAILED, message=message))
            return False
        try:
            self._begun(entry.project, run.id)
        except Exception:
            log.exception("the run %s could not be noted in its project", run.id)
        self._put(replace(entry, state=RUNNING, run=run.id))  # last: a run that has ended leaves the list
        return True

    def _found(self, entry_id: str) -> Entry:
        entry = next((entry for entry in self.entries() if entry.id == entry_id), None)
        if entry is None:
            raise Unknown("queue_unknown")
        if entry.state == RUNNING:
            raise Busy("queue_running", name=entry.name)
        return entry

    def _put(self, changed: Entry) -> None:
        """Exchange an entry for one of the same id; nothing where it was removed meanwhile."""
        with self._lock:
            self._entries = [changed if entry.id == changed.id else entry for entry in self._entries]
            self._write()

    def _write(self) -> None:
        kept = {"held": self._held, "entries": [asdict(entry) for entry in self._entries]}
        write_whole(self._file, json.dumps(kept, ensure_ascii=False, indent=1))

    def _read(self) -> tuple[list[Entry], bool]:
        """What waited when the program ended. What ran then is a run of its own, which its user may continue."""
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            entries = [Entry(**{**values, "changed": tuple(values["changed"])}) for values in kept["entries"]]
            held = bool(kept["held"])
        except FileNotFoundError:
            return [], False
        except (OSError, ValueError, KeyError, TypeError):
            log.exception("the queue in %s cannot be read, and begins empty", self._file)
            return [], False
        unstarted = [replace(e, state=WAITING) if e.state == RUNNING and not e.run else e for e in entries]
        return [entry for entry in unstarted if entry.state != RUNNING], held
