"""The queue with a worker that trains nothing: order, failures, pauses, and what outlives the program."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lora_trainer.errors import BadSettings, Busy, Unknown
from lora_trainer.host.queue import FAILED, RUNNING, WAITING, Queue
from lora_trainer.settings import Settings, from_flat


@dataclass
class FakeRun:
    id: str


@dataclass
class FakeWorker:
    """Runs end when they are let go; those called ``bad`` do not begin, ``bug`` breaks."""

    run: FakeRun | None = None
    paused: bool = False
    begun: list[str] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def start(self, settings: Settings, language: str) -> FakeRun:
        name = settings.output.name
        if self.busy:
            raise Busy("busy", name=name)
        if name == "bad":
            raise BadSettings("trigger_empty", field="trigger")
        if name == "bug":
            raise ZeroDivisionError("a bug")
        self.begun.append(name)
        self.paused, self.run = False, FakeRun(f"run-{name}")
        self.thread = threading.Thread(target=self.go.wait, daemon=True)
        self.thread.start()
        return self.run

    def wait(self) -> None:
        if self.thread:
            self.thread.join()


@pytest.fixture()
def worker() -> FakeWorker:
    return FakeWorker()


@pytest.fixture()
def queue(worker: FakeWorker, tmp_path: Path) -> Queue:
    return Queue(worker, tmp_path / "queue.json")  # type: ignore[arg-type]


def named(name: str) -> Settings:
    return from_flat({"name": name})


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def states(queue: Queue) -> list[tuple[str, str]]:
    return [(entry.name, entry.state) for entry in queue.entries()]


def test_one_after_the_other_and_a_failure_stops_nothing(worker: FakeWorker, queue: Queue) -> None:
    for name in ("a", "bad", "bug", "b"):
        queue.add("p", named(name), "zh")
    until(lambda: worker.begun == ["a"] and states(queue)[0] == ("a", RUNNING))
    assert states(queue) == [("a", RUNNING), ("bad", WAITING), ("bug", WAITING), ("b", WAITING)]
    worker.go.set()
    until(lambda: worker.begun == ["a", "b"] and not worker.busy)
    until(lambda: states(queue) == [("bad", FAILED), ("bug", FAILED)])
    assert "触发词" in queue.entries()[0].message
    assert "a bug" in queue.entries()[1].message


def test_the_order_can_change_and_entries_can_go(worker: FakeWorker, queue: Queue) -> None:
    ids = [queue.add("p", named(name)).id for name in ("a", "b", "c", "d")]
    until(lambda: states(queue)[0] == ("a", RUNNING))
    queue.move(ids[3], 0)
    queue.move(ids[1], 99)
    assert [name for name, _ in states(queue)] == ["a", "d", "c", "b"]
    queue.remove(ids[2])
    assert [name for name, _ in states(queue)] == ["a", "d", "b"]
    for order in (lambda: queue.remove(ids[0]), lambda: queue.move(ids[0], 1)):
        with pytest.raises(Busy):
            order()
    with pytest.raises(Unknown):
        queue.remove("nobody")
    worker.go.set()
    until(lambda: worker.begun == ["a", "d", "b"])


def test_what_waits_outlives_the_program(worker: FakeWorker, queue: Queue, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        queue.add("p", named(name), changed=("epochs",))
    until(lambda: queue.entries()[0].run == "run-a")
    later = FakeWorker()
    later.go.set()
    noted: list[tuple[str, str]] = []
    again = Queue(later, tmp_path / "queue.json", lambda project, run: noted.append((project, run)))  # type: ignore[arg-type]
    assert states(again) == [("b", WAITING), ("c", WAITING)]
    assert again.entries()[0].changed == ("epochs",)
    again.wake()
    until(lambda: noted == [("p", "run-b"), ("p", "run-c")])
    until(lambda: json.loads((tmp_path / "queue.json").read_text(encoding="utf-8"))["entries"] == [])
    worker.go.set()


def test_a_damaged_file_is_an_empty_queue(worker: FakeWorker, tmp_path: Path) -> None:
    for content in (b"", b"[]", b'{"entries": [1], "held": false}', b"\xff"):
        (tmp_path / "queue.json").write_bytes(content)
        assert Queue(worker, tmp_path / "queue.json").entries() == []  # type: ignore[arg-type]


def test_a_paused_run_holds_the_queue_until_it_goes_on(worker: FakeWorker, queue: Queue, tmp_path: Path) -> None:
    worker.start(named("paused"), "en")
    queue.add("p", named("next"))
    worker.paused = True
    worker.go.set()
    until(lambda: not worker.busy)
    time.sleep(0.1)
    assert queue.held and worker.begun == ["paused"]
    assert Queue(FakeWorker(), tmp_path / "queue.json").held  # type: ignore[arg-type]
    queue.wake()
    time.sleep(0.05)
    assert worker.begun == ["paused"]
    worker.paused = False  # it went on, and has ended
    queue.wake()
    until(lambda: worker.begun == ["paused", "next"])


def test_the_next_one_may_begin_beside_a_paused_run(worker: FakeWorker, queue: Queue) -> None:
    worker.go.set()
    worker.start(named("paused"), "en")
    until(lambda: not worker.busy)
    worker.paused = True
    queue.add("p", named("next"))
    assert worker.begun == ["paused"]
    queue.release()
    until(lambda: worker.begun == ["paused", "next"])
