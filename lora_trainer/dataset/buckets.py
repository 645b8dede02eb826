"""Where an image goes: kohya's buckets (sd-scripts, ``BucketManager``), and the crop that fills one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lora_trainer.settings import DataSettings

STRIDE = 8  # pixels to one latent of the VAE

Size = tuple[int, int]  # width, height


@dataclass(frozen=True, slots=True)
class Placement:
    """An image is resized to ``resize``, which covers ``bucket``; ``crop`` (left, top, right, bottom) is cut out."""

    bucket: Size
    resize: Size
    crop: tuple[int, int, int, int]

    def source_box(self, size: Size) -> tuple[float, float, float, float]:
        """``crop`` in the pixels of the image before it is resized, whose size is ``size``."""
        across, down = size[0] / self.resize[0], size[1] / self.resize[1]
        left, top, right, bottom = self.crop
        return left * across, top * down, min(right * across, size[0]), min(bottom * down, size[1])


def bucket_sizes(data: DataSettings) -> tuple[Size, ...]:
    """The sizes that images may be brought to, sorted: about ``resolution``² pixels each, sides multiples of the step.

    Without buckets there is just the square.
    """
    if not data.enable_bucket:
        side = data.resolution // STRIDE * STRIDE
        return ((side, side),)
    low, high, step = bucket_limits(data)
    square = data.resolution // step * step
    sizes = {(square, square)}
    for width in range(low, high + 1, step):
        height = min(high, data.resolution**2 // width // step * step)
        if height >= low:
            sizes |= {(width, height), (height, width)}
    return tuple(sorted(sizes))


def bucket_limits(data: DataSettings) -> tuple[int, int, int]:
    """Shortest side, longest side and step, made to fit each other (kohya's scripts refuse where these differ).

    The step is a multiple of the VAE's and no more than the resolution. A shortest side that is not below the
    resolution (at 256 and less the default is not) would leave only the square: then half the resolution is taken.
    A longest side below the resolution is raised to it.
    """
    step = min(data.bucket_reso_steps, data.resolution) // STRIDE * STRIDE
    square = data.resolution // step * step
    low = -(-data.min_bucket_reso // step) * step
    high = data.max_bucket_reso // step * step
    return low if low < square else max(step, square // 2 // step * step), max(high, square), step


def place(size: Size, buckets: Sequence[Size]) -> Placement:
    """The bucket of exactly this size, else of the nearest aspect ratio; the image covers it and is cropped evenly."""
    width, height = size
    bucket = size if size in buckets else min(buckets, key=lambda it: abs(it[0] / it[1] - width / height))
    if width * bucket[1] > height * bucket[0]:  # wider than the bucket
        resize = (max(bucket[0], _rounded(width * bucket[1], height)), bucket[1])
    else:
        resize = (bucket[0], max(bucket[1], _rounded(height * bucket[0], width)))
    return _centred(bucket, resize)


def place_without_upscaling(size: Size, data: DataSettings) -> Placement | None:
    """Kohya's ``bucket_no_upscale``: shrink an image of more than ``resolution``² pixels, enlarge none.

    Its bucket is what fits into it in whole steps; shortest and longest side do not count. None where a side would be
    shorter than one step.
    """
    _, _, step = bucket_limits(data)
    resize = size if size[0] * size[1] <= data.resolution**2 else _shrunk(size, data.resolution**2, step)
    if resize is None or min(resize) < step:
        return None
    return _centred((resize[0] // step * step, resize[1] // step * step), resize)


def _shrunk(size: Size, area: int, step: int) -> Size | None:
    """About ``area`` pixels in the same ratio, with the side in whole steps that bends the bucket's ratio less."""
    ratio = size[0] / size[1]
    across = math.sqrt(area * ratio)
    by_width, by_height = _stepped(across, step), _stepped(area / across, step)
    its_height, its_width = _stepped(by_width / ratio, step), _stepped(by_height * ratio, step)
    if not (by_height and its_height):
        return None
    if abs(by_width / its_height - ratio) < abs(its_width / by_height - ratio):
        return by_width, int(by_width / ratio + 0.5)
    return int(by_height * ratio + 0.5), by_height


def _stepped(side: float, step: int) -> int:
    """The side to the nearest whole number, then down to whole steps."""
    return int(side + 0.5) // step * step


def _centred(bucket: Size, resize: Size) -> Placement:
    """The crop of a bucket from the middle."""
    left, top = (resize[0] - bucket[0]) // 2, (resize[1] - bucket[1]) // 2
    return Placement(bucket, resize, (left, top, left + bucket[0], top + bucket[1]))


def _rounded(value: int, divisor: int) -> int:
    """``value / divisor`` to the nearest whole number, halves up, the same on every machine."""
    return (2 * value + divisor) // (2 * divisor)
