"""Work in the background: a thread for each task, one task a project, progress and notes that any language can say."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lora_trainer.errors import Busy, Unknown, UserError
from lora_trainer.language import English
from lora_trainer.project.words import Sayable, Words

if TYPE_CHECKING:
    from lora_trainer.project.projects import Project

log = logging.getLogger(__name__)

KEPT = 20  # tasks of a project that are remembered
MOST_NOTES = 200  # more are counted, not kept
RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"

Work = Callable[["TaskControl"], dict[str, Any]]


class TaskFailed(Exception):
    """Ends a task with a sentence that is no error of ours, such as the bench's note that the disk is full."""

    def __init__(self, message: Sayable) -> None:
        super().__init__(message.text())
        self.message = message


@dataclass(slots=True)
class Task:
    """A task at this moment. ``message`` says how it ended, ``result`` holds what it made."""

    id: str
    kind: str
    project: str
    state: str = RUNNING
    done: int = 0
    total: int = 0
    doing: Sayable | None = None
    notes: list[Sayable] = field(default_factory=list)
    unsaid: int = 0
    message: Sayable | None = None
    result: dict[str, Any] = field(default_factory=dict)

    def to_dict(self, language: str = English) -> dict[str, Any]:
        """For JSON, with sentences in ``language``."""
        notes = [note.text(language) for note in self.notes]
        if self.unsaid:
            notes.append(Words("task.more_notes", {"count": self.unsaid}).text(language))
        return {
            "id": self.id,
            "kind": self.kind,
            "project": self.project,
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "text": self.doing.text(language) if self.doing else "",
            "notes": notes,
            "message": self.message.text(language) if self.message else "",
            "result": self.result,
        }


class TaskControl:
    """What the work of a task gets: where it tells how far it is, and learns that it is to end."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._cancelled = threading.Event()

    def stop(self) -> bool:
        """Whether the user wants it to end. Hand it to the bench's functions as their ``stop``."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask for the end."""
        self._cancelled.set()

    def progress(self, done: int, total: int, doing: Sayable | None = None) -> None:
        """How far it is, and perhaps what it does now."""
        self.task.done, self.task.total = done, total
        if doing is not None:
            self.task.doing = doing

    def note(self, note: Sayable) -> None:
        """Something that the user should know; the work goes on."""
        if len(self.task.notes) < MOST_NOTES:
            self.task.notes.append(note)
        else:
            self.task.unsaid += 1

    def end(self, message: Sayable) -> None:
        """What is said when it is over."""
        self.task.message = message


class Tasks:
    """All tasks of this session. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskControl] = {}
        self._threads: dict[str, threading.Thread] = {}

    def start(self, project: Project, kind: str, work: Work) -> Task:
        """Begin ``work`` on a thread of its own; what it returns is the task's result.

        A task that returns after ``stop`` was asked for counts as cancelled. Raises ``Busy`` while another task of the
        project goes on.
        """
        with project.turn, self._lock:
            self._refuse_second(project)
            task = Task(uuid.uuid4().hex[:12], kind, project.id, doing=Words(f"task.{kind}"))
            control = TaskControl(task)
            self._tasks[task.id] = control
            self._forget(project.id)
            thread = threading.Thread(target=self._run, args=(control, work), name=f"lora_trainer {kind}", daemon=True)
            self._threads[task.id] = thread
            thread.start()
        return task

    def find(self, task_id: str) -> Task:
        """Raises ``Unknown``."""
        return self._control(task_id).task

    def of(self, project_id: str) -> list[Task]:
        """The tasks of a project, the latest first."""
        with self._lock:
            return [one.task for one in reversed(self._tasks.values()) if one.task.project == project_id]

    def running(self, project_id: str) -> Task | None:
        """The task of a project that goes on."""
        return next((task for task in self.of(project_id) if task.state == RUNNING), None)

    def refuse_while_running(self, project: Project) -> None:
        """Raises ``Busy`` while a task changes the project: call it before changing the project yourself."""
        with self._lock:
            self._refuse_second(project)

    @contextmanager
    def alone(self, project: Project) -> Iterator[None]:
        """Change the project within, with nobody beside: no task goes on or begins. Raises ``Busy``."""
        with project.turn:
            self.refuse_while_running(project)
            yield

    def cancel(self, task_id: str) -> Task:
        """Ask a task to end. Raises ``Unknown``."""
        control = self._control(task_id)
        control.cancel()
        return control.task

    def wait(self, task_id: str, timeout: float | None = None) -> Task:
        """Wait for its end, at most ``timeout`` seconds. Raises ``Unknown``."""
        task = self.find(task_id)
        self._threads[task_id].join(timeout)
        return task

    def cancel_all(self) -> None:
        """Ask every task to end, as when the page's server is closed."""
        with self._lock:
            for control in self._tasks.values():
                control.cancel()

    def _control(self, task_id: str) -> TaskControl:
        with self._lock:
            if task_id not in self._tasks:
                raise Unknown("task_unknown")
            return self._tasks[task_id]

    def _refuse_second(self, project: Project) -> None:
        for control in self._tasks.values():
            if control.task.project == project.id and control.task.state == RUNNING:
                raise Busy("task_running", name=project.name)

    def _forget(self, project_id: str) -> None:
        """Drop the oldest tasks of a project."""
        own = [one.task.id for one in self._tasks.values() if one.task.project == project_id]
        for old in own[:-KEPT]:
            del self._tasks[old]
            self._threads.pop(old, None)

    def _run(self, control: TaskControl, work: Work) -> None:
        """The outer edge of a task: whatever goes wrong becomes its message, and a log entry."""
        task = control.task
        try:
            task.result = work(control)
            task.state = CANCELLED if control.stop() else DONE
        except (TaskFailed, UserError) as error:
            log.info("task %s failed: %s", task.kind, error)
            task.message = error.message if isinstance(error, TaskFailed) else error
            task.state = FAILED
        except Exception as error:
            log.exception("task %s failed", task.kind)
            task.message = Words("task.unexpected", {"reason": str(error) or type(error).__name__})
            task.state = FAILED
