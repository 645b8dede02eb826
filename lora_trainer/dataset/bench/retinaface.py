"""RetinaFace (Deng et al., arXiv:1905.00641) by facexlib, which the WebUI brings for its face restoration.

Only the network is facexlib's here: its own loader would download weights, ours takes the file that is there.
"""

from __future__ import annotations

import pickle
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WEIGHTS = {"detection_Resnet50_Final.pth": "resnet50", "detection_mobilenet0.25_Final.pth": "mobile0.25"}
SURE = 0.8  # confidence from which on it is a face: facexlib's own
# What a file that is damaged or of another network raises, and a facexlib of another version.
UNUSABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError, pickle.UnpicklingError)


class RetinaFace:
    """Finds faces on the processor, so that it needs nobody's turn on the card."""

    def __init__(self, weights: Path) -> None:
        """Raises ``ImportError`` where facexlib is missing, and one of ``UNUSABLE`` for a file that is not its."""
        network = import_module("facexlib.detection.retinaface").RetinaFace
        import torch

        self._torch: Any = torch
        state = torch.load(weights, map_location="cpu", weights_only=True)
        self._net: Any = network(network_name=WEIGHTS[weights.name], half=False, device=torch.device("cpu"))
        self._net.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state.items()})
        self._net.eval()

    def boxes(self, picture: Image.Image) -> list[tuple[float, float, float, float]]:
        """Left, top, width and height of each face in an RGB picture."""
        with self._torch.inference_mode():
            found = self._net.detect_faces(np.asarray(picture)[..., ::-1], conf_threshold=SURE)
        sound = found[np.isfinite(found[:, :4]).all(axis=1)]
        return [(float(x), float(y), float(right - x), float(below - y)) for x, y, right, below, *_ in sound]
