"""Measuring images: each file is read once, several at a time, and only little of it is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_trainer.dataset.checks.facts import Look, Measured, Stamp
from lora_trainer.dataset.pictures import glance, strict
from lora_trainer.errors import BadDataset

SMALL = 96  # longest side of what is kept of a picture
LARGEST_SIDE = 1024  # sharpness is measured on no more pixels than its square
TILE = 16  # pixels
PLAIN = 6.0  # grey levels: a tile that varies less has no edge that could be sharp
THREADS = 4

Grey = npt.NDArray[np.float32]
OnProgress = Callable[[int, int], None]


def measure_all(
    paths: Sequence[Path], side: int, known: Mapping[Path, Measured], on_progress: OnProgress | None = None
) -> list[Measured]:
    """``measure`` each file, in threads (decoding gives the interpreter free); what is ``known`` and not changed since
    is not read again. ``on_progress`` is told how many of how many are done; what it raises ends the measuring."""
    with strict(), ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        results = pool.map(lambda path: measure(path, side, known.get(path)), paths)
        try:
            return list(_counted(results, len(paths), on_progress))
        finally:
            pool.shutdown(cancel_futures=True)  # where ``on_progress`` ends it, the rest is not measured


def measure(path: Path, side: int, known: Measured | None = None) -> Measured:
    """What the file holds, looked at as it is at the target's ``side``² pixels, or what is wrong with it."""
    side = min(side, LARGEST_SIDE)
    try:
        state = path.stat()
    except OSError as error:
        return Measured(Stamp(0, 0, side), fault="unreadable", reason=error.strerror or str(error))
    stamp = Stamp(state.st_mtime_ns, state.st_size, side)
    if known is not None and known.stamp == stamp:
        return known
    if not state.st_size:
        return Measured(stamp, fault="empty_file")
    try:
        seen = glance(path, side)
    except BadDataset as error:
        too_large = isinstance(error.__cause__, Image.DecompressionBombError)
        return Measured(stamp, fault="too_large" if too_large else "unreadable", reason=str(error.values["reason"]))
    return Measured(stamp, look_of(seen.picture, seen.size, seen.clear))


def look_of(picture: Image.Image, size: tuple[int, int], clear: float) -> Look:
    """The look of an RGB ``picture`` whose file has ``size`` pixels, of which the share ``clear`` is transparent."""
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    small = picture.copy()
    small.thumbnail((SMALL, SMALL), Image.Resampling.BOX)
    pixels = np.array(small)
    return Look(*size, clear, sharpness(grey), colourfulness(pixels), pixels)


def sharpness(grey: Grey) -> float | None:
    """How sharp the sharpest parts of (h, w) grey levels are; None where no part has an edge.

    The variance of the Laplacian (Pech-Pacheco et al., ICPR 2000), for each tile and divided by the variance of the
    tile itself: contrast does not count, and neither do blurred grounds behind a sharp subject. Flat drawings have few
    edges, but sharp ones. About 0.02 at a blur that can be seen, 1 for a crisp edge, 5 and more for noise.
    """
    if min(grey.shape) < TILE + 2:
        return None
    inside = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inside
    contrast, edges = _tile_variance(inside), _tile_variance(laplacian)
    busy = contrast > PLAIN**2
    if not busy.any():
        return None
    return float(np.percentile(edges[busy] / contrast[busy], 90))


def colourfulness(pixels: npt.NDArray[np.uint8]) -> float:
    """Mean difference between the strongest and the weakest channel of a pixel, 0 (grey) to 255.

    Taken after the mean tint is subtracted, so that a sepia print counts as grey.
    """
    channels = pixels.reshape(-1, 3).astype(np.float32)
    channels -= channels.mean(axis=1, keepdims=True)
    channels -= channels.mean(axis=0, keepdims=True)
    return float((channels.max(axis=1) - channels.min(axis=1)).mean())


def _tile_variance(values: Grey) -> Grey:
    """The variance in each whole tile."""
    rows, columns = values.shape[0] // TILE, values.shape[1] // TILE
    tiles = values[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE)
    mean = tiles.mean(axis=(1, 3))
    found: Grey = np.maximum((tiles * tiles).mean(axis=(1, 3)) - mean * mean, 0)
    return found


def _counted(results: Iterable[Measured], total: int, on_progress: OnProgress | None) -> Iterable[Measured]:
    for done, result in enumerate(results, start=1):
        if on_progress:
            on_progress(done, total)
        yield result
