"""A host in memory for tests: plain pictures, a log of what it was asked, no model unless one is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.errors import BadCheckpoint
from lora_trainer.events import Event
from lora_trainer.host.protocol import ImageRequest, LoraCard, Paths, Picture
from lora_trainer.tagging.tagger import Tagger


class MemoryHost:
    """Implements ``Host``. A picture's colour tells its LoRA and weight; ``published``, ``events`` and ``turns`` tell
    what happened."""

    def __init__(self, home: Path, checkpoint: Checkpoint | None = None) -> None:
        self.paths = Paths(loras=home / "loras", runs=home / "runs", checkpoints=home / "checkpoints")
        self.published: list[tuple[Path, LoraCard]] = []
        self.events: list[Event] = []
        self.turns: list[str] = []
        self._checkpoint = checkpoint

    def checkpoint(self, path: Path | None = None) -> Checkpoint:
        """The one it was given. Raises ``BadCheckpoint`` when there was none."""
        if self._checkpoint is None:
            raise BadCheckpoint("checkpoint_none", field="checkpoint")
        return self._checkpoint

    @contextmanager
    def exclusive(self, device: str = "auto") -> Iterator[str]:
        """Yield the CPU; ``turns`` gets an entry when the turn begins and when it ends."""
        self.turns.append("taken")
        try:
            yield "cpu"
        finally:
            self.turns.append("given back")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """As ``exclusive``."""
        with self.exclusive():
            yield

    def taggers(self) -> list[Tagger]:
        """None."""
        return []

    def generate(self, requests: Sequence[ImageRequest]) -> Iterator[Picture]:
        """Flat pictures: grey without a LoRA, redder with its weight."""
        for request in requests:
            red = 128 if request.lora is None else min(255, round(128 + 100 * request.weight))
            yield Picture(Image.new("RGB", (request.width, request.height), (red, 128, 128)), request)

    def publish(self, lora: Path, card: LoraCard) -> None:
        """Remember it."""
        self.published.append((lora, card))

    def report(self, event: Event) -> None:
        """Remember it."""
        self.events.append(event)

    def interrupted(self) -> bool:
        """Never."""
        return False
