"""Two processes on one computer, connected by accelerate, learn what one learns from batches twice as
large."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lora_trainer.demo import CHECKPOINT
from worlds.sprites.concepts import SETS

ROOT = Path(__file__).resolve().parent.parent.parent
COMMON = {
    "trigger": "spooklet",
    "name": "together",
    "resolution": 128,
    "min_bucket_reso": 128,
    "max_bucket_reso": 128,
    "epochs": 2,
    "repeats": 1,
    "unet_lr": 1e-3,
    "network_dim": 4,
    "sample_steps": 1,
    "grid": "no",
    "validation_split": 0.2,
    "device": "cpu",
}


def run(home: Path, images: Path, batch_size: int, launcher: list[str]) -> list[float]:
    """The losses of a training on the command line."""
    values = {**COMMON, "images": images, "checkpoint": CHECKPOINT, "batch_size": batch_size}
    options = [text for name, value in values.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, *launcher, "-m", "lora_trainer", "train", "--home", str(home), "--json", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    (folder,) = (home / "runs").iterdir()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event["loss"] for event in events if event["kind"] == "stepped"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="PyTorch's launcher wants a Unix socket layer")
def test_two_processes_learn_as_one_does(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(1, 10):
        for ending in ("png", "txt"):
            shutil.copyfile(SETS / "ghost" / f"{number:02d}.{ending}", images / f"{number:02d}.{ending}")
    losses = {}
    # What `accelerate launch` itself starts graphics cards with; its own way to several CPUs wants MPI.
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    for name, batch_size, launcher in (("one", 4, []), ("two", 2, launch)):
        (tmp_path / name).mkdir()
        losses[name] = run(tmp_path / name, images, batch_size, launcher)
    assert len(losses["one"]) == 4
    assert losses["two"] == pytest.approx(losses["one"], abs=1e-5)
    assert len(list((tmp_path / "two" / "loras").glob("*.safetensors"))) == 2
