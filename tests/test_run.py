"""The run folder survives what a crash leaves in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_trainer.events import Finished, Stepped
from lora_trainer.run import Run
from lora_trainer.status import status_of

DAMAGE = {"text": b'{"kind": "ste\n', "zeros": b"\0\0\0\0\n", "not UTF-8": b"\xff\xfe{}\n", "a list": b"[1, 2]\n"}


def a_step(number: int) -> Stepped:
    return Stepped(step=number, epoch=1, loss=0.5, lr=1e-4, seconds=0.1)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_costs_nothing_but_itself(tmp_path: Path, damage: bytes) -> None:
    run = Run(tmp_path)
    run.append(a_step(1))
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(damage)
    run.append(a_step(2))
    run.append(Finished(outcome="finished"))
    assert [type(event) for event in run.events()] == [Stepped, Stepped, Finished]
    status = status_of(run.lines())
    assert (status.step, status.state, len(status.losses)) == (2, "finished", 2)
    assert list(run.lines(first=status.lines)) == []  # whoever follows reads nothing twice


def test_a_line_without_its_end_is_not_read_yet(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.append(a_step(1))
    whole = (tmp_path / "events.jsonl").read_bytes()
    (tmp_path / "events.jsonl").write_bytes(whole + whole[:-5])
    assert list(run.events()) == [a_step(1)]
