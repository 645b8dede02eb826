"""A run's events as they happen, as server-sent events: for programs that do not want to ask again and again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from lora_trainer.api.services import Services
from lora_trainer.run import Run, parsed

AGAIN_S = 0.5  # between two looks at the file
BEAT_S = 15.0  # a line at least as often, so that nobody between takes the connection for dead
SINCE = Query(0, ge=0, description="The number of the first event that is wanted")
LAST = Header(None, description="The number of the last event that is known; a browser sends it by itself")
# No gzip, no buffer of a proxy: every event is sent at once.
HEADERS = {"Cache-Control": "no-store", "Content-Encoding": "identity", "X-Accel-Buffering": "no"}


@dataclass
class Tail:
    """Reads on where it stopped; ``number`` is that of the next event."""

    run: Run
    first: int
    number: int = 0
    byte: int = 0

    def more(self) -> list[str]:
        """New events, from number ``first`` on, as they are sent."""
        lines, self.byte = self.run.tail(self.byte)
        begin, self.number = self.number, self.number + len(lines)
        return [_message(begin + n, line) for n, line in enumerate(lines) if begin + n >= self.first]


def add(router: APIRouter, services: Services) -> None:
    """Add the route."""

    @router.get("/runs/{run_id}/stream", tags=["runs"], summary="The same, as they happen (server-sent events)")
    async def stream(request: Request, run_id: str, since: int = SINCE, last_event_id: str | None = LAST) -> Response:
        run = await run_in_threadpool(services.watch.found, run_id)
        known = last_event_id is not None and last_event_id.isdecimal()
        tail = Tail(run, int(str(last_event_id)) + 1 if known else since)
        over = await run_in_threadpool(_is_over, services, run)
        if known and over and not await run_in_threadpool(tail.more):
            return Response(status_code=204)  # tells a browser not to come back
        tail = Tail(run, tail.first)
        return StreamingResponse(_told(services, tail), media_type="text/event-stream", headers=HEADERS)


async def _told(services: Services, tail: Tail) -> AsyncIterator[str]:
    """Events until the run's last one, or until the server ends."""
    spoken = time.monotonic()
    yield "retry: 2000\n\n"
    while not services.hooks.closing():
        over = await run_in_threadpool(_is_over, services, tail.run)  # before the events: none is missed
        messages = await run_in_threadpool(tail.more)
        if messages:
            yield "".join(messages)
        if over:
            yield f"event: over\ndata: {json.dumps({'state': services.watch.state(tail.run)})}\n\n"
            return
        if messages or time.monotonic() - spoken >= BEAT_S:
            spoken = time.monotonic()
            if not messages:
                yield ": still here\n\n"
        await asyncio.sleep(AGAIN_S)


def _is_over(services: Services, run: Run) -> bool:
    return services.watch.state(run) != "running"


def _message(number: int, line: str) -> str:
    """One event; one that a crash damaged keeps its number and tells nothing."""
    kind = parsed(line).get("kind")
    return f"id: {number}\nevent: {kind}\ndata: {line.strip()}\n\n" if kind else f"id: {number}\n: damaged\n\n"
