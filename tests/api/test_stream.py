"""Events as they happen: in order, none twice, to the end, and from where a listener left off."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lora_trainer.api import PREFIX, Hooks, Services, add_routes, stream
from lora_trainer.settings import Settings
from tests.api.fake import FakeWorker


@pytest.fixture()
def worker(home: Path) -> FakeWorker:
    return FakeWorker(home)


def served(worker: FakeWorker, hooks: Hooks | None = None) -> tuple[TestClient, Services]:
    app = FastAPI()
    services = add_routes(app, worker, hooks)  # type: ignore[arg-type]
    return TestClient(app, base_url=f"http://testserver{PREFIX}/"), services


def messages(text: str) -> list[dict[str, str]]:
    """The messages of a stream, each as its fields."""
    blocks = [block for block in text.split("\n\n") if "data:" in block]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


@pytest.fixture()
def finished(worker: FakeWorker, settings: Settings) -> str:
    run = worker.start(settings)
    worker.wait()
    return run.id


def test_a_run_from_its_first_event_to_its_end(worker: FakeWorker, finished: str) -> None:
    client, _ = served(worker)
    answer = client.get(f"runs/{finished}/stream", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["content-encoding"] == "identity"
    told = messages(answer.text)
    assert worker.run is not None
    assert [json.loads(one["data"]) for one in told[:-1]] == list(worker.run.lines())
    assert [int(one["id"]) for one in told[:-1]] == list(range(len(told) - 1))
    assert (told[0]["event"], told[-1]) == ("started", {"event": "over", "data": '{"state": "finished"}'})


def test_a_listener_comes_back(worker: FakeWorker, finished: str) -> None:
    client, _ = served(worker)
    every = messages(client.get(f"runs/{finished}/stream").text)
    last = len(every) - 2
    again = messages(client.get(f"runs/{finished}/stream", headers={"last-event-id": str(last - 3)}).text)
    assert again == every[-4:]
    assert messages(client.get(f"runs/{finished}/stream", params={"since": last}).text) == every[-2:]
    assert client.get(f"runs/{finished}/stream", headers={"last-event-id": str(last)}).status_code == 204
    assert len(messages(client.get(f"runs/{finished}/stream", headers={"last-event-id": "x"}).text)) == len(every)
    assert client.get("runs/nothing/stream").status_code == 404


def test_a_damaged_event_costs_only_itself(worker: FakeWorker, finished: str) -> None:
    assert worker.run is not None
    path = worker.run.folder / "events.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[:2], '{"kind": "st\x00\n', *lines[3:]]), encoding="utf-8")
    told = messages(served(worker)[0].get(f"runs/{finished}/stream").text)
    assert [one.get("id") for one in told[:4]] == ["0", "1", "3", "4"]


async def some(source: AsyncIterator[str], until: str) -> str:
    """What is told until a text of it."""
    heard = ""
    async for part in source:
        heard += part
        if until in heard:
            return heard
    return heard


def test_events_are_told_while_it_runs(worker: FakeWorker, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "AGAIN_S", 0.01)
    monkeypatch.setattr(stream, "BEAT_S", 0.05)
    closing: list[bool] = []
    _, services = served(worker, Hooks(closing=lambda: bool(closing)))
    worker.hold_at = 3

    async def listen() -> None:
        told = stream._told(services, stream.Tail(worker.start(settings), 0))
        heard = await asyncio.wait_for(some(told, '"step": 3'), 20)
        assert '"step": 4' not in heard
        assert ": still here" in await asyncio.wait_for(some(told, ": still here"), 20)
        worker.hold_at = 0
        assert '"step": 4' in await asyncio.wait_for(some(told, '"step": 4'), 20)
        closing.append(True)
        began = time.monotonic()
        assert "event: over" not in await asyncio.wait_for(some(told, "never"), 20)
        assert time.monotonic() - began < 5

    asyncio.run(listen())
    worker.wait()
