"""Whether somebody is at work on a run, also after that somebody was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lora_trainer.host.holding import NAME, held, is_held

HOLDER = """
import sys, time
from pathlib import Path
from lora_trainer.host.holding import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_it_is_held_while_somebody_is_at_work(tmp_path: Path) -> None:
    assert is_held(tmp_path) is None, "nobody ever was"
    with held(tmp_path):
        assert is_held(tmp_path) is True
        assert is_held(tmp_path) is True, "looking does not take it away"
    assert is_held(tmp_path) is False
    with held(tmp_path):
        assert is_held(tmp_path) is True


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline().strip() == b"held"
        assert is_held(tmp_path) is True
        process.kill()
        process.wait(30)
    assert is_held(tmp_path) is False


def test_work_goes_on_where_no_lock_can_be_had(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with held(tmp_path):
        assert is_held(tmp_path) is None
