"""Tiny WD14 models where the hub's library keeps the real ones, and taggers of a host that is made of paper."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lora_trainer.host.memory import MemoryHost
from lora_trainer.tagging.download import Sources
from lora_trainer.tagging.models import TAG_LIST, WEIGHTS, Model
from lora_trainer.tagging.tagger import BadTagger, Reading, Tagger
from tests.tagging.onnx_models import weights, write_model, write_tags

SIDE = 96


def sources(tmp_path: Path) -> Sources:
    """A hub's cache of this test alone, and no network."""
    return Sources(store=tmp_path / "hub", online=False)


def keep(where: Sources, model: Model, outputs: int | None = None) -> Path:
    """Put a tiny model into the cache under a known one's name; its folder."""
    folder = where.cache / f"models--{model.repo.replace('/', '--')}" / "snapshots" / "of_a_test"
    rows = write_tags(folder / TAG_LIST)
    write_model(folder / WEIGHTS, weights(SIDE, outputs or len(rows)), SIDE)
    return folder


class Colours:
    """A tagger that knows how wide an image is; ``fails_at``: it breaks at this batch; ``hold``: it waits there."""

    writes_sentences = False

    def __init__(self, name: str = "deepbooru") -> None:
        self.name = name
        self.batches, self.fails_at, self.unloaded = 0, 0, 0
        self.began, self.go = threading.Event(), threading.Event()
        self.go.set()

    def tag(self, images: Sequence[Image.Image]) -> list[Reading]:
        self.batches += 1
        if self.batches == self.fails_at:
            raise BadTagger("tagger_of_host", field="tagger", name=self.name, reason="no memory")
        if self.batches > 1:
            self.began.set()
            assert self.go.wait(30)
        return [Reading({f"width_{image.width}": 0.9, "a_(hat)": 0.8, "rare": 0.2}) for image in images]

    def unload(self) -> None:
        self.unloaded += 1


class Captioner(Colours):
    """The same, in sentences."""

    writes_sentences = True

    def tag(self, images: Sequence[Image.Image]) -> list[Reading]:
        return [Reading({f"a picture, {image.width} pixels wide": 1.0}) for image in images]


class PaperHost(MemoryHost):
    """A host with these taggers; ``stopped`` is its own stop button."""

    def __init__(self, home: Path, *taggers: Tagger) -> None:
        super().__init__(home)
        self.own, self.stopped = list(taggers), False

    def taggers(self) -> list[Tagger]:
        return self.own

    def interrupted(self) -> bool:
        return self.stopped
