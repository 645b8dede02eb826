"""Our own host (D11): a checkpoint file, pictures through the adopted modules, LoRAs in a folder. No WebUI needed."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lora_trainer.adapter.layers import eject, load_lora, weighted
from lora_trainer.checkpoint.adopt import Parts, adopt
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.checkpoint.precision import choose, choose_device, place
from lora_trainer.checkpoint.sampling import Drawing, draw_picture
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadCheckpoint
from lora_trainer.events import Event
from lora_trainer.host.protocol import ImageRequest, LoraCard, Paths, Picture
from lora_trainer.tagging.tagger import Tagger

log = logging.getLogger(__name__)


class StandaloneHost:
    """Implements ``Host`` on a checkpoint file; ``home`` holds the folders ``loras``, ``runs`` and ``checkpoints``."""

    def __init__(
        self, home: Path, checkpoint: Path | None = None, on_event: Callable[[Event], None] | None = None
    ) -> None:
        self.paths = Paths(
            loras=home / "loras", runs=home / "runs", checkpoints=home / "checkpoints", faces=(home / "models",)
        )
        self._default = checkpoint
        self._on_event = on_event
        self._turn = threading.Lock()
        self._opened: Checkpoint | None = None

    def checkpoint(self, path: Path | None = None) -> Checkpoint:
        """The file ``path``, else the host's own. Raises ``BadCheckpoint``."""
        wanted = path or self._default
        if wanted is None:
            raise BadCheckpoint("checkpoint_none", field="checkpoint")
        if self._opened is None or self._opened.path != wanted:
            self._opened = open_checkpoint(wanted)
        return self._opened

    @contextmanager
    def exclusive(self, device: str = "auto") -> Iterator[str]:
        """Wait for a turn and yield the device."""
        with self._turn:
            yield choose_device(device)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn."""
        with self._turn:
            yield

    def taggers(self) -> list[Tagger]:
        """None of its own: WD14 models are run without a host."""
        return []

    def generate(self, requests: Sequence[ImageRequest]) -> Iterator[Picture]:
        """Draw the requests on the checkpoint that was used last; a LoRA is loaded once for requests in a row."""
        with self.exclusive() as device:
            opened = self.checkpoint(self._opened.path if self._opened else None)
            parts = adopt(opened, scratch=self.paths.runs.parent / "cache")
            precision = choose(device, "auto")
            place(parts, precision)
            loaded: Path | None = None
            for request in requests:
                if request.lora != loaded:
                    loaded = self._swap(parts, request.lora)
                with weighted(parts, request.weight):
                    yield Picture(draw_picture(parts, _drawing(request), precision), request)

    def publish(self, lora: Path, card: LoraCard) -> None:
        """Write the WebUI's card beside the file, so that it is there when the file is copied into a WebUI."""
        write_card(lora, card)

    def report(self, event: Event) -> None:
        """Hand the event to whoever watches (the command line's progress)."""
        if self._on_event:
            self._on_event(event)

    def interrupted(self) -> bool:
        """Never: there is nobody but ourselves to ask."""
        return False

    @staticmethod
    def _swap(parts: Parts, lora: Path | None) -> Path | None:
        eject(parts)
        if lora is not None:
            load_lora(parts, lora)
        return lora


def _drawing(request: ImageRequest) -> Drawing:
    return Drawing(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        seed=request.seed,
        steps=request.steps,
        cfg_scale=request.cfg_scale,
        width=request.width,
        height=request.height,
    )


def write_card(lora: Path, card: LoraCard) -> None:
    """Write the WebUI's user metadata (``.json``) and preview (``.png``) beside ``lora``."""
    values = {
        "description": card.description,
        "sd version": card.sd_version,
        "activation text": card.activation_text,
        "preferred weight": card.preferred_weight,
        "notes": card.notes,
    }
    write_whole(lora.with_suffix(".json"), json.dumps(values, indent=4, ensure_ascii=False))
    if card.preview is not None:
        write_whole(lora.with_suffix(".png"), card.preview.read_bytes())
