"""WD14: SmilingWolf's models, which know Danbooru's tags.

As published (the models' cards and their author's demonstration): transparency on white; padded with white to a square,
the picture in its middle; scaled to the model's own size; BGR, 0 to 255, float32, (B, H, W, 3). The output is
probabilities, one for each line of ``selected_tags.csv``.

Scaled down by averaging areas, as OpenCV's ``INTER_AREA`` does (and Pillow's ``BOX`` does not: it counts a pixel that
lies in two areas whole in one of them), rounded to 8 bits. Scaled up by Pillow's ``BICUBIC``, the demonstration's way;
its curve has the parameter -0.5, that of OpenCV's ``INTER_CUBIC`` -0.75.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_trainer.tagging.events import Noticed
from lora_trainer.tagging.models import TAG_LIST, WEIGHTS
from lora_trainer.tagging.session import Session
from lora_trainer.tagging.tag_list import read_tag_list
from lora_trainer.tagging.tagger import BadTagger, Reading

BATCH = 8
WHITE = (255, 255, 255)


def prepared(image: Image.Image, size: int) -> npt.NDArray[np.float32]:
    """The image as the models take it: (size, size, 3), BGR, 0 to 255."""
    square = _square(_opaque(image))
    if square.width < size:
        square = square.resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(square)
    if square.width > size:
        pixels = np.rint(averaged(averaged(pixels, size).swapaxes(0, 1), size).swapaxes(0, 1))
    return np.ascontiguousarray(pixels[:, :, ::-1], np.float32)


def averaged(pixels: npt.NDArray[Any], size: int) -> npt.NDArray[np.float32]:
    """(N, ...) to (size, ...), N > size: means of N / size neighbours, in which the outer ones count by their share."""
    edges = np.arange(size + 1) * (len(pixels) / size)
    first = np.minimum(edges.astype(int), len(pixels) - 1)  # the pixel in which an edge lies
    share = (edges - first).astype(np.float32).reshape(-1, *[1] * (pixels.ndim - 1))
    before = share * pixels[first]  # what of that pixel lies before the edge
    before[-1] = 0
    whole = np.add.reduceat(np.ascontiguousarray(pixels), first[:-1], axis=0, dtype=np.float32)
    return (whole - before[:-1] + before[1:]) * np.float32(size / len(pixels))


class Wd14:
    """Implements ``Tagger`` with a model's folder."""

    writes_sentences = False

    def __init__(self, name: str, folder: Path, device: str = "auto", batch: int = BATCH) -> None:
        """``batch``: how many images at once, where the model takes any number; others take one by one.

        Raises ``BadTagger`` where the files are not a model and its list of tags, or do not fit each other.
        """
        self.name = name
        self._tags = read_tag_list(folder / TAG_LIST)
        self._session = Session(folder / WEIGHTS, device)
        shape, outputs = self._session.input_shape, self._session.outputs
        # A batch, a square, three colours: what is no number may be anything.
        if len(shape) != 4 or shape[3] != 3 or not isinstance(shape[1], int) or shape[1] != shape[2]:
            raise BadTagger("tagger_other_model", field="tagger", name=folder / WEIGHTS, found=shape)
        self._size = shape[1]
        self._fixed = isinstance(shape[0], int)
        self._batch = shape[0] if isinstance(shape[0], int) else max(1, batch)
        if isinstance(outputs, int):
            self._check_length(outputs)

    @property
    def notice(self) -> Noticed | None:
        """Why it does not run on the graphics card; None where it does or was not asked to."""
        return self._session.notice

    def tag(self, images: Sequence[Image.Image]) -> list[Reading]:
        """One reading an image. Raises ``BadTagger`` where the model fails."""
        rows = [row for batch in self._batches(images) for row in self._probabilities(batch)]
        return [self._tags.reading(row) for row in rows[: len(images)]]

    def unload(self) -> None:
        """Let go of the model."""
        self._session.close()

    def _batches(self, images: Sequence[Image.Image]) -> Iterator[npt.NDArray[np.float32]]:
        """(B, H, W, 3); where the model's batch is fixed, white images fill up the last."""
        for start in range(0, len(images), self._batch):
            rows = [prepared(image, self._size) for image in images[start : start + self._batch]]
            missing = self._batch - len(rows) if self._fixed else 0
            yield np.stack([*rows, *[np.full_like(rows[0], 255)] * missing])

    def _probabilities(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(B, T)"""
        found = self._session.run(batch)
        if found.ndim != 2 or len(found) != len(batch):
            raise BadTagger("tagger_other_model", field="tagger", name=self._session.path, found=list(found.shape))
        self._check_length(found.shape[1])
        return found

    def _check_length(self, outputs: int) -> None:
        """Raises ``BadTagger`` where the output has another length than the list of tags."""
        if outputs != len(self._tags):
            values = {"outputs": outputs, "tags": len(self._tags), "folder": self._session.path.parent}
            raise BadTagger("tag_list_misfit", field="tagger", **values)


def _opaque(image: Image.Image) -> Image.Image:
    """RGB, on white where the image is transparent."""
    if image.mode in ("RGBA", "LA", "PA", "P", "RGBa", "La") or "transparency" in image.info:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, (*WHITE, 255)), clear).convert("RGB")
    return image.convert("RGB")


def _square(image: Image.Image) -> Image.Image:
    """The image in the middle of a white square; an odd pixel goes to the right or below."""
    side = max(image.size)
    if image.size == (side, side):
        return image
    square = Image.new("RGB", (side, side), WHITE)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
