"""Where faces are: by the best detector whose model is present, else by OpenCV's own cascade; none without OpenCV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from lora_trainer.dataset.bench.crops import Box
from lora_trainer.dataset.bench.notes import Noted, reason, shown
from lora_trainer.dataset.bench.retinaface import UNUSABLE, WEIGHTS, RetinaFace

SIDE = 800  # faces are looked for in a copy of at most this side in pixels
LEAST = 24  # pixels of that copy that a face has at least
CASCADE = "haarcascade_frontalface_default.xml"
CASCADES = "*cascade*face*.xml"  # such as the one for drawn faces that many have
YUNET = "face_detection_yunet*.onnx"


class FaceDetector(Protocol):
    """Whoever finds faces."""

    def find(self, picture: Image.Image) -> list[Box]:
        """The faces in an RGB picture, the largest first."""


Make = Callable[[Path], FaceDetector]


@dataclass(frozen=True, slots=True)
class Choice:
    """The detector that is used, None where there is none, and what a user is told of it."""

    detector: FaceDetector | None
    notes: tuple[Noted, ...]


def choose_detector(folders: Sequence[Path] = ()) -> Choice:
    """The best detector whose model is in one of the ``folders``, else OpenCV's own. Nothing is downloaded.

    The best is RetinaFace, as the WebUI's face restoration has it, then YuNet.
    """
    try:
        cv2 = import_module("cv2")
    except ImportError:  # missing, or without the system's libraries that it needs
        return Choice(None, (Noted(key="faces_no_opencv", name="OpenCV"),))
    notes: list[Noted] = []
    models: list[tuple[Path, Make, Any]] = [
        (file, _Retina, UNUSABLE) for name in WEIGHTS for file in _found(folders, name)
    ]
    # Older versions of OpenCV lack the class.
    models += [(file, partial(_YuNet, cv2), (cv2.error, OSError, AttributeError)) for file in _found(folders, YUNET)]
    for file, detector, errors in models:
        try:
            return Choice(detector(file), (*notes, Noted(key="faces_model", name=shown(file.name))))
        except ImportError:  # no facexlib
            continue
        except errors as error:
            notes.append(Noted(key="faces_model_broken", name=shown(file.name), values={"reason": reason(error)}))
    cascades, named = [Path(cv2.data.haarcascades) / CASCADE, *_found(folders, CASCADES)], ""
    loaded = []
    for file in cascades:
        try:
            loaded.append(_cascade(cv2, file))
            named = file.name
        except (cv2.error, OSError, UnicodeDecodeError) as error:
            notes.append(Noted(key="faces_model_broken", name=shown(file.name), values={"reason": reason(error)}))
    if not loaded:
        return Choice(None, tuple(notes))
    alone = named == CASCADE
    used = Noted(key="faces_cascade", name="OpenCV") if alone else Noted(key="faces_model", name=shown(named))
    return Choice(_Cascades(cv2, loaded), (*notes, used))


class _Retina:
    """RetinaFace on a small copy, as the others."""

    def __init__(self, weights: Path) -> None:
        self._net = RetinaFace(weights)

    def find(self, picture: Image.Image) -> list[Box]:
        """The faces in an RGB picture, the largest first."""
        small, scale = _small(picture)
        return _boxes(self._net.boxes(small), scale, picture)


class _YuNet:
    """YuNet (Wu, Peng and Yu 2023, doi:10.1007/s11633-023-1423-y) through OpenCV."""

    def __init__(self, cv2: Any, model: Path) -> None:
        empty = np.empty(0, np.uint8)
        content = np.frombuffer(model.read_bytes(), np.uint8)
        self._net = cv2.FaceDetectorYN.create("onnx", content, empty, (SIDE, SIDE), 0.7)

    def find(self, picture: Image.Image) -> list[Box]:
        """The faces in an RGB picture, the largest first."""
        small, scale = _small(picture)
        self._net.setInputSize(small.size)
        _, found = self._net.detect(np.ascontiguousarray(np.asarray(small)[..., ::-1]))
        return _boxes([] if found is None else [tuple(face[:4]) for face in found], scale, picture)


class _Cascades:
    """Viola and Jones' cascades (doi:10.1109/CVPR.2001.990517), one or more."""

    def __init__(self, cv2: Any, cascades: Sequence[Any]) -> None:
        self._cv2, self._cascades = cv2, cascades

    def find(self, picture: Image.Image) -> list[Box]:
        """The faces in an RGB picture, the largest first; of overlapping ones the largest."""
        small, scale = _small(picture)
        grey = self._cv2.equalizeHist(np.asarray(small.convert("L")))
        least = max(LEAST, min(small.size) // 16)
        found = [
            tuple(face)
            for cascade in self._cascades
            for face in cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(least, least))
        ]
        return _boxes(found, scale, picture)


def _cascade(cv2: Any, file: Path) -> Any:
    """A cascade read from memory. Raises ``OSError`` for what is none."""
    text = file.read_text(encoding="utf-8")
    storage = cv2.FileStorage()  # from memory: OpenCV cannot open every path on Windows
    storage.open(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    cascade = cv2.CascadeClassifier()
    if not cascade.read(storage.getFirstTopLevelNode()) or cascade.empty():
        raise OSError("it is no cascade")
    return cascade


def _found(folders: Sequence[Path], pattern: str) -> list[Path]:
    """The newest version of a model first, by its name."""
    return [file for folder in folders if folder.is_dir() for file in sorted(folder.glob(pattern), reverse=True)]


def _small(picture: Image.Image) -> tuple[Image.Image, float]:
    """A copy of at most ``SIDE`` pixels, and by how much it is smaller."""
    scale = max(1.0, max(picture.size) / SIDE)
    size = max(1, round(picture.width / scale)), max(1, round(picture.height / scale))
    return picture.resize(size, Image.Resampling.BOX), scale


def _boxes(found: Sequence[Sequence[float]], scale: float, picture: Image.Image) -> list[Box]:
    """What was found as (left, top, width, height) in the small copy, in the picture, the largest first, each once."""
    boxes: list[Box] = []
    for x, y, width, height in sorted(found, key=lambda face: -face[2] * face[3]):
        left, top = max(0, round(x * scale)), max(0, round(y * scale))
        right = min(picture.width, round((x + width) * scale))
        bottom = min(picture.height, round((y + height) * scale))
        if right > left and bottom > top and not any(_same((left, top, right, bottom), other) for other in boxes):
            boxes.append((left, top, right, bottom))
    return boxes


def _same(face: Box, other: Box) -> bool:
    """Whether most of a face lies in the other."""
    across = min(face[2], other[2]) - max(face[0], other[0])
    down = min(face[3], other[3]) - max(face[1], other[1])
    return across > 0 and down > 0 and 2 * across * down > (face[2] - face[0]) * (face[3] - face[1])
