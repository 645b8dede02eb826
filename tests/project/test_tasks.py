"""Tasks: one a project, progress, notes, ends of every kind, and languages."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from lora_trainer.dataset.bench.notes import Noted
from lora_trainer.errors import BadSettings, Busy, Unknown
from lora_trainer.project.projects import Projects
from lora_trainer.project.tasks import KEPT, MOST_NOTES, TaskControl, TaskFailed, Tasks
from lora_trainer.project.words import Words

DONE: dict[str, Any] = {"made": 1}


@pytest.fixture()
def projects(tmp_path: Path) -> Projects:
    return Projects(tmp_path)


def test_a_task_from_start_to_end(projects: Projects) -> None:
    tasks, go = Tasks(), threading.Event()

    def work(control: TaskControl) -> dict[str, Any]:
        control.progress(1, 3)
        control.note(Noted(key="empty_file", name="a.png"))
        go.wait(10)
        control.end(Words("task.imported", {"count": 2, "known": 1}))
        return DONE

    task = tasks.start(projects.create("a"), "import", work)
    assert task.to_dict("en")["state"] == "running" and task.to_dict("zh")["text"] == "正在导入图片"
    go.set()
    told = tasks.wait(task.id, 10).to_dict("zh")
    assert (told["state"], told["done"], told["total"], told["result"]) == ("done", 1, 3, DONE)
    assert "a.png" in told["notes"][0] and told["message"] == "已导入图片：2 张；原有：1 张。"


def test_one_at_a_time_and_nothing_beside(projects: Projects) -> None:
    tasks, go = Tasks(), threading.Event()
    first, second = projects.create("a"), projects.create("b")
    task = tasks.start(first, "import", lambda control: {"waited": go.wait(10)})
    with pytest.raises(Busy, match="“a”"):
        tasks.start(first, "crop", lambda control: {})
    with pytest.raises(Busy), tasks.alone(first):
        pass
    with tasks.alone(second):
        pass
    other = tasks.start(second, "crop", lambda control: {})
    go.set()
    tasks.wait(task.id), tasks.wait(other.id)
    with tasks.alone(first):
        assert tasks.running(first.id) is None
    assert [one.kind for one in tasks.of(first.id)] == ["import"]


def test_no_task_begins_while_something_changes(projects: Projects) -> None:
    tasks, project, order = Tasks(), projects.create("a"), list[str]()
    started = threading.Event()

    def begin() -> None:
        started.set()
        task = tasks.start(project, "import", lambda control: {"order": order.append("task")})
        tasks.wait(task.id)

    with tasks.alone(project):
        thread = threading.Thread(target=begin)
        thread.start()
        started.wait(10)
        order.append("change")
    thread.join(10)
    assert order == ["change", "task"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BadSettings("images_none"), "No images are chosen"),
        (TaskFailed(Noted(key="disk_full", name="x", values={"reason": "no space"})), "The disk is full (no space)"),
        (RuntimeError("boom"), "Something went wrong that should not have: boom."),
    ],
)
def test_ends_in_failure(projects: Projects, error: Exception, said: str) -> None:
    def work(control: TaskControl) -> dict[str, Any]:
        raise error

    tasks = Tasks()
    told = tasks.wait(tasks.start(projects.create("a"), "import", work).id).to_dict()
    assert told["state"] == "failed" and said in told["message"]


def test_cancelling(projects: Projects) -> None:
    tasks, begun = Tasks(), threading.Event()

    def work(control: TaskControl) -> dict[str, Any]:
        begun.set()
        while not control.stop():
            pass
        return {}

    task = tasks.start(projects.create("a"), "import", work)
    begun.wait(10)
    tasks.cancel(task.id)
    assert tasks.wait(task.id, 10).state == "cancelled"
    with pytest.raises(Unknown):
        tasks.cancel("nothing")


def test_memory_has_bounds(projects: Projects) -> None:
    tasks, project = Tasks(), projects.create("a")

    def work(control: TaskControl) -> dict[str, Any]:
        for _ in range(MOST_NOTES + 7):
            control.note(Words("task.import"))
        return {}

    for _ in range(KEPT + 5):
        last = tasks.wait(tasks.start(project, "import", work).id, 10)
    assert len(tasks.of(project.id)) == KEPT
    assert last.to_dict()["notes"][-1] == "… and 7 more notes."
