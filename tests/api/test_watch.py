"""Runs are followed line by line, and a run that died is not called running."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lora_trainer.api.watch import CURRENT, QUIET_S, Watch, inside
from lora_trainer.events import Finished, Started
from lora_trainer.host.holding import held
from lora_trainer.run import Run
from lora_trainer.settings import Settings
from tests.api.fake import FakeWorker

BEGUN = Started(name="n", images=1, held_out=0, epochs=1, steps=10, device="cpu", checkpoint="c")


@pytest.fixture()
def worker(home: Path) -> FakeWorker:
    return FakeWorker(home)


def test_only_new_lines_are_followed(worker: FakeWorker, settings: Settings) -> None:
    watch, run = Watch(worker), Run.create(worker.host.paths.runs, settings)
    run.append(BEGUN)
    with watch.view(run) as first:
        status, lines = first.status, first.status.lines
    run.append(Finished(outcome="stopped"))
    with watch.view(run) as second:
        assert second.status is status
        assert (lines, second.status.lines, second.state) == (1, 2, "stopped")


def test_a_run_without_a_sign_was_broken_off(worker: FakeWorker, settings: Settings) -> None:
    watch, run = Watch(worker), Run.create(worker.host.paths.runs, settings)
    run.append(BEGUN)
    with watch.view(run) as view:
        assert (view.state, view.ours) == ("running", False)
    long_ago = time.time() - QUIET_S - 1
    os.utime(run.folder / "events.jsonl", (long_ago, long_ago))
    with watch.view(run) as view:
        assert view.state == "interrupted"


def test_a_run_whose_process_has_ended_was_broken_off_at_once(worker: FakeWorker, settings: Settings) -> None:
    watch, run = Watch(worker), Run.create(worker.host.paths.runs, settings)
    run.append(BEGUN)
    with held(run.folder):
        assert watch.state(run) == "running"
        long_ago = time.time() - QUIET_S - 1
        os.utime(run.folder / "events.jsonl", (long_ago, long_ago))
        assert watch.state(run) == "running", "a step may take long"
    assert watch.state(run) == "interrupted"


def test_the_current_run_is_the_newest_until_one_is_started(worker: FakeWorker, settings: Settings) -> None:
    watch = Watch(worker)
    assert watch.find(CURRENT) is None
    runs = worker.host.paths.runs
    old, new = Run.create(runs, settings, now=1e9), Run.create(runs, settings, now=1.1e9)
    assert watch.find(CURRENT) == new
    worker.run = old
    assert watch.find(CURRENT) == old
    assert watch.find(new.id) == new
    assert watch.find("../" + new.id) is None


def test_stopping_is_told(worker: FakeWorker, settings: Settings) -> None:
    worker.hold_at, worker.lingers = 5, True
    watch, run = Watch(worker), worker.start(settings)
    with watch.view(run) as view:
        assert (view.ours, view.stopping) == (True, "")
    worker.commands.stop_after_epoch()
    with watch.view(run) as view:
        assert view.stopping == "after_epoch"
    worker.commands.stop_now()
    with watch.view(run) as view:
        assert view.stopping == "now"
    worker.lingers = False
    worker.wait()


def test_settings_of_another_version_do_not_hide_a_run(worker: FakeWorker, settings: Settings) -> None:
    watch, run = Watch(worker), Run.create(worker.host.paths.runs, settings)
    (run.folder / "run.json").write_text('{"later_setting": 1}', encoding="utf-8")
    with watch.view(run) as view:
        assert view.settings is None


def test_files_outside_the_folder_are_not_found(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    (folder / "samples" / "a.png").write_bytes(b"")
    (tmp_path / "secret.png").write_bytes(b"")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    assert inside(folder, "samples/a.png") == (folder / "samples" / "a.png").resolve()
    for wrong in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "samples", "", "samples/b.png"):
        assert inside(folder, wrong) is None
