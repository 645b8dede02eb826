"""Events to lines and back, and what a status makes of them."""

from __future__ import annotations

import json

import pytest

from lora_trainer import events
from lora_trainer.events import Chosen, Event, Finished, Stage, Started, Stepped, Validated, from_dict, to_dict
from lora_trainer.status import ESTIMATE_AFTER, status_of

START = Started(name="n", images=4, held_out=1, epochs=2, steps=100, device="cpu", checkpoint="c")


def lines(*happened: Event) -> list[dict[str, object]]:
    return [json.loads(json.dumps({"time": 1.0, **to_dict(event)})) for event in happened]


def steps(count: int) -> list[Stepped]:
    return [Stepped(step=i, epoch=1, loss=0.1, lr=1e-4, seconds=2.0) for i in range(1, count + 1)]


def test_events_survive_a_line_of_json() -> None:
    chosen = Chosen(epoch=3, weight=0.8, lora="x", reasons=("because", "so"))
    for event in (START, chosen, Validated(epoch=0, held_out=0.5, train=0.4), Finished(outcome="finished")):
        assert from_dict(lines(event)[0]) == event
    of_a_run = {kind.__name__ for kind in Event.__subclasses__() if kind.__module__ == events.__name__}
    names = {kind.__name__ for kind in events.KINDS.values()}
    assert names == of_a_run  # what other rooms tell is not kept in a run's folder


def test_the_time_left_is_told_only_when_it_can_be() -> None:
    early = status_of(lines(START, Stage(stage="training", total=100), *steps(ESTIMATE_AFTER - 1)))
    assert early.eta_s is None
    later = status_of(lines(START, Stage(stage="training", total=100), *steps(60)))
    assert later.eta_s == pytest.approx(80.0)
    assert later.fraction == pytest.approx(0.6)
    assert later.loss == pytest.approx(0.1)


def test_the_end_of_a_run() -> None:
    status = status_of(
        lines(START, Validated(epoch=1, held_out=0.3, train=0.2), Finished(outcome="stopped", report="r"))
    )
    assert (status.state, status.report, status.validated) == ("stopped", "r", [(1, 0.3, 0.2)])


def test_a_run_that_goes_on_runs_again() -> None:
    begun = {"kind": "started", "name": "x", "images": 5, "steps": 4, "epochs": 2}
    stepped = {"kind": "stepped", "step": 1, "epoch": 1, "loss": 0.5, "seconds": 0.1}
    lines = [begun, stepped, {"kind": "finished", "outcome": "stopped", "report": ""}, begun]
    assert status_of(lines).state == "running"
    assert (status_of(lines).step, status_of(lines).losses) == (1, [0.5])
    between = {"kind": "saved", "epoch": 1, "path": "x-step00000001.safetensors", "step": 1}
    assert status_of([begun, between]).files == []
