"""A worker that trains nothing: it writes the events of a run into a run folder, at the pace that a test sets."""

from __future__ import annotations

import colorsys
import math
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image, ImageDraw

from lora_trainer.commands import Commands
from lora_trainer.errors import BadSettings, Busy, UserError
from lora_trainer.events import (
    Chosen,
    Compared,
    Event,
    Failed,
    Finished,
    Previewed,
    Progress,
    Saved,
    Stage,
    Started,
    Stepped,
    Validated,
)
from lora_trainer.run import Run
from lora_trainer.settings import Settings

PROMPTS = ("mychr", "mychr, hat, green meadow, standing on the left")
REASONS = (
    "Averaged with its neighbours, held-out loss is lowest at epoch 3: 0.0912 there, 14 % below the base model's.",
    "Likeness grows on after it.",
)


@dataclass(frozen=True)
class FakePaths:
    loras: Path
    runs: Path
    checkpoints: Path
    faces: tuple[Path, ...] = ()


@dataclass(frozen=True)
class FakeCheckpoint:
    title: str
    tensors: Mapping[str, Any]


def sd1_marks() -> dict[str, Any]:
    """What tells an SD1 checkpoint from others."""
    names = ("first_stage_model.x", "cond_stage_model.transformer.x", "model.diffusion_model.input_blocks.0.0.weight")
    return {name: SimpleNamespace(shape=(32, 4, 3, 3)) for name in names}


class FakeHost:
    def __init__(self, home: Path) -> None:
        self.paths = FakePaths(home / "loras", home / "runs", home / "checkpoints")

    def checkpoint(self, path: Path | None = None) -> FakeCheckpoint:
        return FakeCheckpoint("sprites.safetensors [1eeb9df217]", sd1_marks())


class FakeWorker:
    """What the tab needs of ``host.worker.Worker``."""

    def __init__(self, home: Path) -> None:
        self.host = FakeHost(home)
        self.commands = Commands()
        self.run: Run | None = None
        self.languages: list[str] = []
        self.pause_s = 0.0  # after every event
        self.fail_at = self.hold_at = 0  # the step at which it fails, or waits to be told to go on or to stop
        self.problem: UserError | None = None
        self.lingers = False  # once told to stop, until this is false
        self._thread: threading.Thread | None = None

    @property
    def paused(self) -> bool:
        return not self.busy and self.run is not None and self.run.outcome() == "paused"

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, settings: Settings, language: str = "en") -> Run:
        if self.busy:
            raise Busy("busy", name="other")
        if not settings.data.images:
            raise BadSettings("folder_unset", field="images")
        self.languages.append(language)
        self.commands = Commands()
        self.run = Run.create(self.host.paths.runs, settings)
        self._thread = threading.Thread(target=self._work, args=(self.run, settings), daemon=True)
        self._thread.start()
        return self.run

    def resume(self, run: Run, language: str = "en") -> Run:
        if self.busy:
            raise Busy("busy", name="other")
        self.commands, self.run, self.hold_at = Commands(), run, 0
        self._thread = threading.Thread(target=self._work, args=(run, run.settings()), daemon=True)
        self._thread.start()
        return run

    def wait(self) -> None:
        if self._thread:
            self._thread.join()

    def _work(self, run: Run, settings: Settings) -> None:
        for event in happenings(run, settings, self.fail_at):
            run.append(event)
            held = isinstance(event, Stepped) and event.step == self.hold_at
            while held and self.hold_at and not self.commands.stopping_now:
                time.sleep(0.02)
            while self.lingers and self.commands.stopping_now:
                time.sleep(0.02)
            if self.commands.stopping_now:
                (run.folder / "state").mkdir(exist_ok=True)
                (run.folder / "state" / "state.safetensors").touch()
                run.append(Finished(outcome="paused" if self.commands.pausing else "stopped"))
                return
            time.sleep(self.pause_s)


def happenings(run: Run, settings: Settings, fail_at: int = 0) -> Iterator[Event]:
    """The events of a whole run of 20 images, with pictures."""
    epochs, per_epoch = settings.training.epochs, 20
    steps, name, random_loss = epochs * per_epoch, settings.output.name, random.Random(1)
    device, title = "cpu", "sprites.safetensors"
    yield Started(name=name, images=22, held_out=2, epochs=epochs, steps=steps, device=device, checkpoint=title)
    yield Stage(stage="loading", total=1)
    yield Stage(stage="caching", total=22)
    yield from (Progress(stage="caching", done=done, total=22) for done in range(1, 23))
    yield Stage(stage="training", total=steps)
    yield Validated(epoch=0, held_out=0.106, train=0.104)
    yield from previews(run, 0)
    for epoch in range(1, epochs + 1):
        for step in range((epoch - 1) * per_epoch + 1, epoch * per_epoch + 1):
            if step == fail_at:
                message = "Training broke down: the loss is no longer a number. Start again with a lower learning rate."
                yield Failed(message=message, detail="Traceback (most recent call last):\n  <script>alert(1)</script>")
                return
            loss = 0.08 + 0.05 * math.exp(-step / 60) + random_loss.gauss(0, 0.02)
            yield Stepped(step=step, epoch=epoch, loss=loss, lr=1e-4, seconds=1.9)
        held_out = 0.09 + 0.003 * abs(epoch - 3) + 0.001
        yield Validated(epoch=epoch, held_out=held_out, train=0.104 - 0.004 * epoch)
        yield Saved(epoch=epoch, path=str(run.folder.parent.parent / "loras" / f"{name}-{epoch:06d}.safetensors"))
        yield from previews(run, epoch)
    yield Stage(stage="grid", total=6)
    yield from (Progress(stage="grid", done=done, total=6) for done in range(1, 7))
    picture(900, 420, 0.6).save(run.folder / "grid" / "sheet.png")
    yield Stage(stage="picking", total=1)
    yield Compared(sheet="grid/sheet.png", cells=6)
    (run.folder / "report.html").write_text("<!DOCTYPE html><title>report</title><p>report</p>", encoding="utf-8")
    lora = str(run.folder.parent.parent / "loras" / f"{name}-{min(3, epochs):06d}.safetensors")
    yield Chosen(epoch=min(3, epochs), weight=0.8, lora=lora, reasons=REASONS)
    yield Finished(outcome="finished", report="report.html")


def previews(run: Run, epoch: int) -> Iterator[Previewed]:
    """A picture of every prompt."""
    for index, prompt in enumerate(PROMPTS):
        path = f"samples/{epoch:06d}-{index}.png"
        picture(128, 128, epoch / 10 + index / 3).save(run.folder / path)
        yield Previewed(epoch=epoch, index=index, prompt=prompt, path=path)


def picture(width: int, height: int, hue: float) -> Image.Image:
    """A flat figure on a flat ground."""
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, 0.5, 0.9))
    image = Image.new("RGB", (width, height), (red, green, blue))
    ImageDraw.Draw(image).rectangle((width * 0.35, height * 0.25, width * 0.65, height * 0.9), fill=(60, 50, 70))
    return image
