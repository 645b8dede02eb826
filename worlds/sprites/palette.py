"""The colours of the Sprites world."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

# Eight colours that tags can name, far enough apart that a nearest-colour reading is safe.
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (208, 32, 48),
    "orange": (244, 136, 20),
    "yellow": (248, 228, 72),
    "green": (40, 160, 64),
    "cyan": (72, 208, 224),
    "blue": (40, 64, 208),
    "pink": (236, 108, 196),
    "white": (244, 244, 244),
}

# Two more that only the concept characters wear.
EXTRA: dict[str, tuple[int, int, int]] = {"gray": (124, 124, 132), "black": (24, 24, 32)}

NAMES: tuple[str, ...] = (*COLOURS, *EXTRA)
RGB = np.array([*COLOURS.values(), *EXTRA.values()], dtype=np.uint8)  # (10, 3)
INDEX: dict[str, int] = {name: i for i, name in enumerate(NAMES)}


def nearest(rgb: Array) -> Array:
    """Index of the nearest palette colour for every colour of ``rgb`` (..., 3), in squared RGB distance."""
    difference = rgb[..., None, :].astype(np.float32) - RGB.astype(np.float32)
    return (difference**2).sum(-1).argmin(-1)
