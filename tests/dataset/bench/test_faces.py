"""Faces are found where OpenCV is; where it is not, or a model is broken, a sentence says so."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from lora_trainer.dataset.bench.faces import choose_detector


def face(side: int = 200) -> Image.Image:
    """A drawn face as the cascade knows faces: bright, with dark eyes, brows and mouth and a bright nose."""
    image = Image.new("L", (side, side), 110)
    pen = ImageDraw.Draw(image)

    def oval(x: float, y: float, across: float, down: float, shade: int) -> None:
        pen.ellipse([(x - across) * side, (y - down) * side, (x + across) * side, (y + down) * side], fill=shade)

    oval(0.5, 0.45, 0.40, 0.50, 60)  # hair
    oval(0.5, 0.52, 0.34, 0.46, 190)
    oval(0.5, 0.22, 0.26, 0.11, 205)
    for x in (0.36, 0.64):
        oval(x, 0.40, 0.10, 0.055, 95)
        oval(x, 0.41, 0.045, 0.04, 30)
        oval(x, 0.335, 0.11, 0.02, 70)
        oval(x, 0.58, 0.08, 0.06, 205)
    oval(0.5, 0.52, 0.045, 0.13, 215)
    oval(0.5, 0.64, 0.07, 0.02, 120)
    oval(0.5, 0.75, 0.13, 0.035, 85)
    return image.filter(ImageFilter.GaussianBlur(side / 60))


def scene(width: int = 600, height: int = 400, at: tuple[int, int] = (330, 120)) -> Image.Image:
    image = Image.new("L", (width, height), 110)
    image.paste(face(), at)
    return image.convert("RGB")


def test_without_opencv_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    choice = choose_detector()
    assert choice.detector is None
    assert [note.key for note in choice.notes] == ["faces_no_opencv"]
    assert "OpenCV" in choice.notes[0].text("zh")


def test_opencvs_own_cascade_finds_a_drawn_face() -> None:
    pytest.importorskip("cv2")
    choice = choose_detector()
    assert [note.key for note in choice.notes] == ["faces_cascade"]
    assert choice.detector is not None
    (left, top, right, bottom), *more = choice.detector.find(scene())
    assert more == []
    assert 330 <= (left + right) / 2 <= 530
    assert 120 <= (top + bottom) / 2 <= 320
    assert choice.detector.find(Image.new("RGB", (300, 200), "grey")) == []


def test_places_are_those_of_the_large_picture() -> None:
    pytest.importorskip("cv2")
    detector = choose_detector().detector
    assert detector is not None
    large = scene().resize((2400, 1600))
    (left, top, right, bottom), *_ = detector.find(large)
    assert 330 <= (left + right) / 8 <= 530
    assert 120 <= (top + bottom) / 8 <= 320


def test_a_model_that_is_none_is_told_and_passed_over(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    (tmp_path / "face_detection_yunet_2023mar.onnx").write_bytes(b"this is no model")
    (tmp_path / "lbpcascade_animeface.xml").write_text("<html>404</html>", encoding="utf-8")
    choice = choose_detector([tmp_path, tmp_path / "nowhere"])
    assert [note.key for note in choice.notes] == ["faces_model_broken", "faces_model_broken", "faces_cascade"]
    assert choice.detector is not None


def test_another_cascade_is_used_beside_opencvs(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    other = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"
    (tmp_path / "lbpcascade_animeface.xml").write_bytes(other.read_bytes())
    choice = choose_detector([tmp_path])
    assert [note.key for note in choice.notes] == ["faces_model"]
    assert choice.detector is not None
    assert len(choice.detector.find(scene())) == 1


class Error(Exception):
    """What the real one calls ``cv2.error``."""


class Net:
    """Speaks as ``FaceDetectorYN`` does, and finds one face in the middle of each picture."""

    size = (0, 0)

    def setInputSize(self, size: tuple[int, int]) -> None:
        self.size = size

    def detect(self, pixels: Any) -> tuple[int, Any]:
        assert pixels.shape == (self.size[1], self.size[0], 3)
        width, height = self.size
        return 1, [[width / 4, height / 4, width / 2, height / 2, *range(11)]]


def test_a_better_detector_is_used_where_its_model_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []

    class Stub:
        error = Error

        class FaceDetectorYN:
            @staticmethod
            def create(kind: str, model: Any, *rest: Any) -> Net:
                made.append(model.tobytes())
                return Net()

    (tmp_path / "face_detection_yunet_2023mar.onnx").write_bytes(b"model")
    monkeypatch.setitem(sys.modules, "cv2", Stub())  # type: ignore[arg-type]
    choice = choose_detector([tmp_path])
    assert made == [b"model"]
    assert [(note.key, note.name) for note in choice.notes] == [("faces_model", "face_detection_yunet_2023mar.onnx")]
    assert choice.detector is not None
    assert choice.detector.find(Image.new("RGB", (1600, 800))) == [(400, 200, 1200, 600)]


class Network(torch.nn.Module):
    """facexlib's network as far as it is used: it finds one face, in the part of the picture that its weight says."""

    def __init__(self, network_name: str, half: bool, device: torch.device) -> None:
        super().__init__()
        assert (network_name, half, device.type) == ("resnet50", False, "cpu")
        self.place = torch.nn.Parameter(torch.zeros(4))

    def detect_faces(self, pixels: Any, conf_threshold: float) -> Any:
        height, width, _ = pixels.shape
        assert (pixels[0, 0] == (30, 20, 10)).all()  # BGR
        box = self.place.detach() * torch.tensor([width, height, width, height])
        return torch.cat([box, torch.ones(11)])[None].numpy()


@pytest.fixture
def facexlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package that the WebUI brings."""
    pytest.importorskip("cv2")
    module = ModuleType("facexlib.detection.retinaface")
    module.RetinaFace = Network  # type: ignore[attr-defined]
    for name in ("facexlib", "facexlib.detection"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("facexlib")
def test_the_detector_of_face_restoration_is_used_where_its_weights_are(tmp_path: Path) -> None:
    weights = tmp_path / "detection_Resnet50_Final.pth"
    torch.save({"module.place": torch.tensor([0.25, 0.25, 0.75, 0.5])}, weights)
    choice = choose_detector([tmp_path])
    assert [(note.key, note.name) for note in choice.notes] == [("faces_model", weights.name)]
    assert choice.detector is not None
    assert choice.detector.find(Image.new("RGB", (1600, 800), (10, 20, 30))) == [(400, 200, 1200, 400)]


@pytest.mark.usefixtures("facexlib")
@pytest.mark.parametrize("content", [b"", b"<html>404</html>", {"place": torch.zeros(5)}, {}])
def test_weights_that_are_none_are_told_and_passed_over(tmp_path: Path, content: Any) -> None:
    weights = tmp_path / "detection_Resnet50_Final.pth"
    if isinstance(content, bytes):
        weights.write_bytes(content)
    else:
        torch.save(content, weights)
    assert [note.key for note in choose_detector([tmp_path]).notes] == ["faces_model_broken", "faces_cascade"]


def test_weights_without_the_package_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2")
    monkeypatch.setitem(sys.modules, "facexlib", None)
    (tmp_path / "detection_Resnet50_Final.pth").write_bytes(b"weights")
    assert [note.key for note in choose_detector([tmp_path]).notes] == ["faces_cascade"]
