"""A WebUI to test in: started for the tests in a data folder of its own, or one that runs already."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from lora_trainer.demo import PROMPTS
from worlds.sprites.concepts import SETS, TRIGGERS
from worlds.sprites.install import HERE, install

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 900  # the computer may be busy
SETTINGS = {"live_previews_enable": False, "auto_launch_browser": "Disable", "randn_source": "CPU", "sd_vae": "None"}
FLAGS = (
    "--skip-prepare-environment --skip-version-check --skip-torch-cuda-test --do-not-download-clip "
    "--no-download-sd-model --disable-console-progressbars --api"
)
PICTURE: dict[str, Any] = {
    "prompt": "red cat, blue background",
    "seed": 1,
    "subseed": 1,
    "subseed_strength": 0,
    "steps": 6,
    "sampler_name": "Euler",
    "scheduler": "Automatic",
    "cfg_scale": 5,
    "width": 128,
    "height": 128,
    "save_images": False,
}
# A run of seconds: the ghost's pictures twice, drawn as small as the world is.
RUN: dict[str, Any] = {
    "images": str(SETS / "ghost"),
    "trigger": TRIGGERS["ghost"],
    "resolution": 128,
    "min_bucket_reso": 128,
    "max_bucket_reso": 128,
    "epochs": 2,
    "repeats": 1,
    "batch_size": 2,
    "unet_lr": 2e-3,
    "sample_steps": 4,
    "sample_prompts": [f"{TRIGGERS['ghost']}, blue background"],
    "grid_weights": [0.6, 1.0],
}
# One that learns something, for the screenshots.
SHOWN: dict[str, Any] = {
    **{**RUN, "epochs": 4, "repeats": 8, "noise_offset": 0.1, "sample_steps": 20, "cfg_scale": 5},
    "sample_prompts": [f"{TRIGGERS['ghost']}, {prompt}" for prompt in PROMPTS],
}


@dataclass
class WebUI:
    """A WebUI that answers at ``address``; ``data`` is its data folder, None for one that we did not start."""

    address: str
    data: Path | None = None

    def call(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """GET, or POST (or ``method``) with a body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def probe(self, code: str) -> Any:
        """What ``out`` is after running ``code`` inside, where ``host``, ``worker`` and ``app`` are known."""
        out = self.call("/lora_trainer_probe", {"code": code})["out"]
        assert not (isinstance(out, dict) and "error" in out), out["error"]
        return out

    def picture(self, prompt: str = PICTURE["prompt"]) -> bytes:
        """The pixels that txt2img draws from a fixed seed."""
        drawn = self.call("/sdapi/v1/txt2img", {**PICTURE, "prompt": prompt})["images"][0]
        with Image.open(io.BytesIO(base64.b64decode(drawn))) as image:
            return image.convert("RGB").tobytes()

    def start_run(self, name: str, **settings: Any) -> str:
        """Start a run and return its id."""
        return str(self.call("/lora_trainer/v1/runs", {**RUN, "name": name, **settings})["id"])

    def status(self) -> dict[str, Any]:
        """The status of the run at hand, complete."""
        return dict(self.call("/lora_trainer/v1/runs/current/status"))

    def wait_for(self, ready: Any) -> dict[str, Any]:
        """The status of the run at hand when ``ready(status)`` is true."""
        return self.until("/lora_trainer/v1/runs/current/status", ready)

    def until(self, path: str, ready: Any) -> dict[str, Any]:
        """What lies at ``path`` when ``ready`` of it is true."""
        end = time.monotonic() + PATIENCE_S
        while not ready(told := self.call(path)):
            if time.monotonic() > end:
                raise TimeoutError(f"after {PATIENCE_S} s: {told}")
            time.sleep(0.2)
        return dict(told)

    def finished(self) -> dict[str, Any]:
        """The status when the run is over."""
        return self.wait_for(lambda status: status["state"] != "running" and not status["busy"])

    def wait_for_us(self) -> None:
        """Wait until our routes answer, which come a moment after the WebUI's page."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(urllib.error.HTTPError):
                self.call("/lora_trainer/v1/about")
                return
            time.sleep(0.2)
        raise TimeoutError(f"no answer after {PATIENCE_S} s")

    def wait_in_log(self, ready: Any) -> None:
        """Wait until ``ready`` of what the WebUI has printed is true."""
        assert self.data is not None
        end = time.monotonic() + PATIENCE_S
        while not ready((self.data / "webui.log").read_bytes()):
            if time.monotonic() > end:
                raise TimeoutError(f"after {PATIENCE_S} s")
            time.sleep(0.2)

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """The run's events."""
        assert self.data is not None
        lines = (self.data / "lora_trainer" / "runs" / run_id / "events.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in lines.splitlines()]


def furnish(data: Path, webui: Path, checkpoint: Path | None = None, *, ours: bool = True) -> None:
    """Make a data folder: our extension and the probe (unless not ``ours``), settings, ``checkpoint`` or Sprites (or
    ``webui``'s own)."""
    for folder in ("models/Stable-diffusion", "models/Lora", "extensions"):
        (data / folder).mkdir(parents=True)
    (data / "config.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    if ours:
        link(ROOT, data / "extensions" / "lora-trainer")
        link(Path(__file__).with_name("probe"), data / "extensions" / "lora-trainer-probe")
    if checkpoint:
        for file in (checkpoint, checkpoint.with_suffix(".yaml")):
            shutil.copyfile(file, data / "models" / "Stable-diffusion" / file.name)
        return
    if (HERE / "sprites.safetensors").is_file():
        install(data)
        return
    for file in (webui / "models" / "Stable-diffusion").glob("tiny.*"):
        shutil.copyfile(file, data / "models" / "Stable-diffusion" / file.name)


def link(source: Path, target: Path) -> None:
    """Have ``source`` at ``target``: a copy on Windows, where links want rights."""
    if sys.platform == "win32":
        unwanted = shutil.ignore_patterns(".*", "__pycache__", "runs", "outputs")
        shutil.copytree(source, target, ignore=unwanted)
    else:
        target.symlink_to(source, target_is_directory=True)


@dataclass(frozen=True)
class Start:
    """How to start a WebUI: its folder, its Python, its arguments, which packages it must not find, and variables of
    its environment."""

    folder: Path
    python: str
    arguments: str
    without: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def launch(how: Start, data: Path) -> tuple[WebUI, subprocess.Popen[bytes]]:
    """Start a WebUI on the data folder ``data``; returns when it is up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [how.python, "launch.py", *FLAGS.split(), *how.arguments.split(), "--port", str(port)]
    command += ["--data-dir", str(data), "--ui-settings-file", str(data / "config.json")]
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
    environment = {**os.environ, **offline, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= how.environment
    if how.without:
        environment |= {"LORA_TRAINER_WITHOUT": how.without, "PYTHONPATH": str(Path(__file__).with_name("without"))}
    log = data / "webui.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=how.folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
    end = time.monotonic() + PATIENCE_S
    # Not by asking: a request that comes before the WebUI has added its middleware breaks its start.
    while b"Startup time" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise RuntimeError(f"the WebUI did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")
        time.sleep(0.5)
    started = WebUI(f"http://127.0.0.1:{port}", data)
    if (data / "extensions" / "lora-trainer").exists() and not how.without:
        started.wait_for_us()
    return started, process
