"""The one door to the host (D8), and the plain values that pass through it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from PIL import Image

from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.errors import BadSettings
from lora_trainer.events import Event
from lora_trainer.tagging.tagger import Tagger


@dataclass(frozen=True)
class Paths:
    """The host's folders: where LoRAs are looked for, where run folders are kept, where checkpoints lie, and where
    models that find faces may lie."""

    loras: Path
    runs: Path
    checkpoints: Path
    faces: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """One picture to draw. ``lora`` with ``weight`` is applied to the U-Net and the text encoder alike; None draws
    without.

    ``sampler`` is the WebUI's name of it.
    """

    prompt: str
    negative_prompt: str = ""
    seed: int = 1
    steps: int = 20
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    sampler: str = "Euler"
    lora: Path | None = None
    weight: float = 1.0

    def fingerprint(self) -> str:
        """16 hex digits of all that shapes the picture, for the name of its file: of nothing old that looks alike.

        Of the LoRA its name, size and time, which change when it is trained anew. Raises ``BadSettings`` where it is
        gone.
        """
        name, stamp = "", list[int]()
        if self.lora is not None:
            if not self.lora.is_file():
                raise BadSettings("lora_missing", path=self.lora)
            status = self.lora.stat()
            name, stamp = self.lora.name, [status.st_size, status.st_mtime_ns]
        values = {**asdict(self), "lora": name, "stamp": stamp}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Picture:
    """A drawn picture and the request that it answers."""

    image: Image.Image
    request: ImageRequest


@dataclass(frozen=True, kw_only=True)
class LoraCard:
    """What the WebUI shows beside a LoRA (its user metadata), and the picture of it."""

    activation_text: str
    preferred_weight: float
    sd_version: str  # "SD1", "SD2", "SDXL" or "Unknown"
    description: str = ""
    notes: str = ""
    preview: Path | None = field(default=None)


class Host(Protocol):
    """Whoever owns the checkpoint and draws pictures."""

    @property
    def paths(self) -> Paths:
        """The host's folders."""

    def checkpoint(self, path: Path | None = None) -> Checkpoint:
        """The loaded checkpoint by reference, or the file ``path``. Raises ``BadCheckpoint``."""

    def exclusive(self, device: str = "auto") -> AbstractContextManager[str]:
        """Wait for a turn, take merged LoRAs out, yield the torch device to use (``"cuda"``, ``"cpu"``); give all
        back."""

    def turn(self) -> AbstractContextManager[None]:
        """Wait for a turn on the card, for work that needs no checkpoint; the host's taggers may be used within."""

    def taggers(self) -> list[Tagger]:
        """The taggers that the host has installed; WD14 models are run without it."""

    def generate(self, requests: Sequence[ImageRequest]) -> Iterator[Picture]:
        """Draw the requests in order, outside of ``exclusive``; stops early when the host is interrupted."""

    def publish(self, lora: Path, card: LoraCard) -> None:
        """Write the card beside ``lora`` and let the host know of the file."""

    def report(self, event: Event) -> None:
        """Show an event in the host's own progress bar; raises nothing."""

    def interrupted(self) -> bool:
        """Whether the user asked the host itself to stop."""
