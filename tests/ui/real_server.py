"""The trainer as a user starts it: ``lora_trainer serve`` in a process of its own, on the Sprites checkpoint."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from worlds.sprites.concepts import SETS

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 900  # the machine may be busy
GHOST = SETS / "ghost"
# What makes a run of seconds of the preset's: one look at every picture, and the smallest comparison there is.
SHORT: dict[str, Any] = {
    "epochs": 1,
    "repeats": 1,
    "batch_size": 2,
    "sample_steps": 2,
    "sample_prompts": ["ghost, blue background"],
    "grid_weights": [1.0],
    "grid_epochs": 1,
}


class Server:
    """The real server. ``kill()`` ends it as a power cut does; ``start()`` begins again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        command = [sys.executable, "-m", "lora_trainer", "serve", "--no-browser", "--port", str(self.port)]
        command += ["--home", str(self.home), "--language", "en"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < end:
            try:
                self.call("about")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
            else:
                return
        self.kill()
        raise RuntimeError((self.folder / "server.log").read_text(encoding="utf-8"))

    def kill(self) -> None:
        """End it at once, in the middle of what it does."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
            self._process.wait(30)

    def call(self, path: str, body: Any = None, method: str = "") -> Any:
        """GET, or POST (or ``method``) with a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.address}lora_trainer/v1/{path}",
            data,
            {"Content-Type": "application/json"},
            method=method or ("GET" if body is None else "POST"),
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def project(self, name: str, **settings: Any) -> str:
        """The id of a new project with the ghost's pictures and a short run's settings."""
        made: str = self.call("projects", {"name": name})["id"]
        self.wait(self.call(f"projects/{made}/import", {"path": str(GHOST)})["task"])
        self.shorten(made, trigger="ghost", **settings)
        return made

    def shorten(self, project: str, **settings: Any) -> None:
        """Give a project the settings of a run of seconds, and others."""
        self.call(f"projects/{project}", {"settings": {**SHORT, **settings}}, "PATCH")

    def wait(self, task: str) -> None:
        """Wait until a task is done."""
        end = time.monotonic() + PATIENCE_S
        while (told := self.call(f"tasks/{task}"))["state"] == "running" and time.monotonic() < end:
            time.sleep(0.1)
        assert told["state"] == "done", told

    def status(self, run: str = "current") -> dict[str, Any]:
        """A run's status."""
        return dict(self.call(f"runs/{run}/status"))

    def until(self, ready: Any, run: str = "current") -> dict[str, Any]:
        """The status when ``ready(status)`` is true."""
        end = time.monotonic() + PATIENCE_S
        while not ready(told := self.status(run)):
            assert time.monotonic() < end, told
            time.sleep(0.1)
        return told


def drop(tab: Page, files: Sequence[Path]) -> None:
    """Drop files on the page: they are made in it, of the bytes of real ones."""
    carried = tab.evaluate_handle(
        """(files) => {
            const carried = new DataTransfer();
            for (const {name, bytes} of files) {
                carried.items.add(new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], name));
            }
            return carried;
        }""",
        [{"name": path.name, "bytes": base64.b64encode(path.read_bytes()).decode()} for path in files],
    )
    zone = tab.locator(".lt-drop")
    zone.dispatch_event("dragenter", {"dataTransfer": carried})
    zone.dispatch_event("drop", {"dataTransfer": carried})
