"""What the tab costs: ``python -m benchmarks.ui``, with the packages of the WebUI.

Measured are seconds of processor, which other programs on the machine disturb less than the clock: what the tab adds to
the WebUI's start (in fresh processes that have gradio, FastAPI and PyTorch already, the middle one of three), how heavy
its page is, what following a run costs at the page's own rate, and how soon a long run's status is there.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lora_trainer.events import Finished, Previewed, Saved, Started, Stepped, Validated
from lora_trainer.host.protocol import Paths
from lora_trainer.host.worker import Worker
from lora_trainer.run import Run
from lora_trainer.settings import from_flat

ROOT = Path(__file__).resolve().parents[1]
PAGE, LOADER, STYLE = ROOT / "lora_trainer" / "ui" / "page", ROOT / "javascript" / "lora_trainer.js", ROOT / "style.css"
MOST_START_S, MOST_PAGE, MOST_POLL, MOST_OPEN_S = 0.3, 150_000, 0.01, 1.0
STARTS, POLLS = 3, 200
EPOCHS, EVENTS = 100, 20_000
# In a process of its own: the packages that the WebUI has loaded, then what it does with us.
START = """
import gradio, fastapi, torch, safetensors.torch, numpy, PIL.Image, yaml, transformers
import sys, tempfile, threading, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.webui.paper import Paper
paper = Paper(Path(tempfile.mkdtemp()))
sys.modules.update(paper.modules())
for name in ("lora_trainer.host", "lora_trainer"):
    assert name not in sys.modules
begun = time.process_time()
import scripts.lora_trainer_tab
script = time.process_time()
with gradio.Blocks():
    from lora_trainer.language import translate
    from lora_trainer.ui import tab
    tab.build(paste=None, language=None)
shown = time.process_time()
app = fastapi.FastAPI()
paper.on_app_started({demo}, app)
told = time.process_time()
for thread in threading.enumerate():
    if thread.name == "lora_trainer routes":
        thread.join()
ended = time.process_time()
print("TIMES", script - begun, shown - script, told - shown, ended - told, len(app.routes))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    held = [start(), weight(), *running()]
    print("all limits are kept" if all(held) else "a limit is not kept")
    return int(not all(held))


def judged(what: str, figure: float, limit: float, text: str) -> bool:
    """Print a figure beside its limit; whether it is kept."""
    kept = figure <= limit
    print(f"{what}: {text} ({'at most' if kept else 'MORE THAN'} {limit:g})")
    return kept


def start() -> bool:
    """What the WebUI's start takes longer: the script, the tab, and what begins once it is up."""
    page, alone = once(demo="'page'"), once(demo="None")
    script, tab, called, after, _ = page
    waited = script + tab + called
    print(f"start: script {script:.3f} s, tab {tab:.3f} s, callback {called:.3f} s; then beside it {after:.3f} s")
    print(f"start with --nowebui, routes included: {sum(alone[:4]):.3f} s")
    return judged("the WebUI waits", waited, MOST_START_S, f"{waited:.3f} s")


def once(demo: str) -> tuple[float, ...]:
    """The middle of some starts, by their sum."""
    found = []
    for _ in range(STARTS):
        code = START.format(root=str(ROOT), demo=demo)
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
        line = next(line for line in told.splitlines() if line.startswith("TIMES"))
        found.append(tuple(float(part) for part in line.split()[1:]))
    return sorted(found, key=lambda times: sum(times[:4]))[STARTS // 2]


def weight() -> bool:
    """Bytes that a browser loads: with the WebUI's page, and once somebody opens the tab."""
    files = loaded(PAGE / "main.mjs")
    styles = [PAGE / name for name in re.findall(r'"(\w+\.css)"', (PAGE / "main.mjs").read_text(encoding="utf-8"))]
    later = [path for path in files | steps() if path.is_file()]
    first = LOADER.stat().st_size + STYLE.stat().st_size
    opened = sum(len(gzip.compress(path.read_bytes())) for path in {*later, *styles})
    print(f"page: {first} bytes with the WebUI's page, {opened} bytes packed once the tab is opened")
    return judged("page weight in bytes", first + opened, MOST_PAGE, str(first + opened))


def steps() -> set[Path]:
    """The modules of the four steps, which ``main.mjs`` imports by their names, and what these need."""
    return {path for step in ("images", "tags", "train", "results") for path in loaded(PAGE / "steps" / f"{step}.mjs")}


def loaded(module: Path) -> set[Path]:
    """A module and all that it imports."""
    found, ahead = set[Path](), [module]
    while ahead:
        path = ahead.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        named = re.findall(r"""(?:from|import)\s*\(?\s*["'](\.[^"'`$]+\.mjs)["']""", path.read_text(encoding="utf-8"))
        ahead += [(path.parent / name).resolve() for name in named]
    return found


def running() -> Iterator[bool]:
    """What following costs: a long run that is opened, one at rest, and one that goes on."""
    from lora_trainer.ui.standalone import page

    rates = dict(re.findall(r"(RUNNING_MS|IDLE_MS) = (\d+)", (PAGE / "run_watch.mjs").read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        paths = Paths(loras=home / "loras", runs=home / "runs", checkpoints=home)
        run = long_run(paths)
        worker: Any = Worker(SimpleNamespace(paths=paths))
        app = page(worker)
        clock = time.perf_counter()
        used = asyncio.run(seconds(app, 1, lambda number: -1))
        clock = time.perf_counter() - clock
        said = f"{used:.3f} s of processor, {clock:.3f} s by the clock"
        yield judged(f"a run of {EPOCHS} epochs and {EVENTS} events opens", used, MOST_OPEN_S, said)
        lines = run.tail()[0]
        idle = asyncio.run(seconds(app, POLLS, lambda number: len(lines))) / POLLS

        def busy(number: int) -> int:
            run.append(Stepped(step=EVENTS + number, epoch=EPOCHS, loss=0.1, lr=1e-4, seconds=1.0))
            return len(lines) + number - 1

        going = asyncio.run(seconds(app, POLLS, busy)) / POLLS
        for name, each, rate in (("at rest", idle, "IDLE_MS"), ("that goes on", going, "RUNNING_MS")):
            share = each * 1000 / int(rates[rate])
            text = f"{share:.2%} of a core, {each * 1000:.1f} ms every {rates[rate]} ms"
            yield judged(f"following a run {name}", share, MOST_POLL, text)


def long_run(paths: Paths) -> Run:
    """A finished run of many epochs and events."""
    run = Run.create(paths.runs, from_flat({"name": "long", "trigger": "mychr", "epochs": EPOCHS}))
    per_epoch = EVENTS // EPOCHS - 6
    steps = EPOCHS * per_epoch
    run.append(Started(name="long", images=22, held_out=2, epochs=EPOCHS, steps=steps, device="cpu", checkpoint="x"))
    for epoch in range(1, EPOCHS + 1):
        for step in range((epoch - 1) * per_epoch + 1, epoch * per_epoch + 1):
            run.append(
                Stepped(step=step, epoch=epoch, loss=0.1 + 0.05 / step + 0.01 * (step % 7), lr=1e-4, seconds=1.0)
            )
        run.append(Validated(epoch=epoch, held_out=0.1 - epoch / 2000, train=0.1 - epoch / 1500))
        run.append(Saved(epoch=epoch, path=str(paths.loras / f"long-{epoch:06d}.safetensors")))
        for index in range(4):
            run.append(
                Previewed(epoch=epoch, index=index, prompt=f"mychr, {index}", path=f"samples/{epoch}-{index}.png")
            )
    run.append(Finished(outcome="finished", report=""))
    return run


async def seconds(app: Any, count: int, since: Callable[[int], int]) -> float:
    """Seconds of processor that so many questions for the status take, without a network between."""
    used = 0.0
    for number in range(1, count + 1):
        query = f"since={since(number)}&lang=en".encode()
        begun = time.process_time()
        answer = await asked(app, query)
        used += time.process_time() - begun
        assert answer == 200, answer
    return used


async def asked(app: Any, query: bytes) -> int:
    """The status's code, from the application itself."""
    path, codes = "/lora_trainer/v1/runs/current/status", []
    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http"},
        **{
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query,
            "headers": [(b"host", b"127.0.0.1")],
        },
        **{"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 7860)},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            codes.append(message["status"])

    await app(scope, receive, send)
    return int(codes[0])


if __name__ == "__main__":
    raise SystemExit(main())
