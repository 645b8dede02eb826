"""The WD14 runner against a reference written from the models' published description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lora_trainer.tagging.session import CUDA, Session
from lora_trainer.tagging.tag_list import read_tag_list
from lora_trainer.tagging.tagger import BadTagger, Reading
from lora_trainer.tagging.thresholds import Thresholds, mcut, probable
from lora_trainer.tagging.wd14 import Wd14, prepared
from tests.dataset.files import says
from tests.tagging.onnx_models import expected, field, weights, write_model, write_tags

pytest.importorskip("onnxruntime")
SIZE, SMALL = 448, 96
Array = npt.NDArray[np.float64]


def painting(number: int) -> Image.Image:
    """One of 20 pictures: every size relation and every kind of pixel that datasets have."""
    rng = np.random.default_rng(number)
    sizes = [(448, 448), (200, 500), (640, 480), (448, 200), (513, 512), (97, 33), (600, 601), (447, 300), (30, 448)]
    width, height = sizes[number % len(sizes)]
    coarse = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 4), dtype=np.uint8)
    pixels = coarse.repeat(16, 0).repeat(16, 1)[:height, :width]
    modes = ("RGB", "RGBA", "L", "P", "RGB", "LA")
    return Image.fromarray(pixels, "RGBA").convert(modes[number % len(modes)])


def area_weights(old: int, new: int) -> Array:
    """(new, old): how much of each old pixel lies in each new one."""
    edges = np.linspace(0, old, new + 1)
    starts = np.maximum(edges[:-1, None], np.arange(old))
    covered = np.clip(np.minimum(edges[1:, None], np.arange(old) + 1) - starts, 0, None)
    return covered / covered.sum(1, keepdims=True)


def cubic_weights(old: int, new: int) -> Array:
    """(new, old): Keys' cubic convolution with a = -0.5, cut off at the border."""
    place = (np.arange(new) + 0.5) * old / new
    far = np.abs(place[:, None] - (np.arange(old) + 0.5))
    near = 1.5 * far**3 - 2.5 * far**2 + 1
    outer = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
    found = np.where(far < 1, near, np.where(far < 2, outer, 0))
    return found / found.sum(1, keepdims=True)


def reference(image: Image.Image) -> Array:
    """Pre-processing as described: white below, white around, area down or cubic up, BGR, 0 to 255. (448, 448, 3)"""
    rgba = np.asarray(image.convert("RGBA")).astype(np.float64)
    opacity = rgba[..., 3:] / 255
    colours = rgba[..., :3] * opacity + 255 * (1 - opacity)
    height, width = colours.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 255.0)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = colours
    if side != SIZE:
        scale = area_weights(side, SIZE) if side > SIZE else cubic_weights(side, SIZE)
        square = np.clip(np.einsum("yh,xw,hwc->yxc", scale, scale, square, optimize=True), 0, 255)
    return square[:, :, ::-1]


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [painting(number) for number in range(20)]


@pytest.fixture(scope="module")
def references(pictures: list[Image.Image]) -> Array:
    return np.stack([reference(image) for image in pictures])


def model(folder: Path, batch: int | str = "unk__1", count: int | None = None, size: int = SMALL) -> Path:
    """A folder with a model and its tags; ``count``: outputs, where they are to be other than the tags."""
    rows = write_tags(folder / "selected_tags.csv")
    write_model(folder / "model.onnx", weights(size, len(rows) if count is None else count), size, batch)
    return folder


def rows_of(readings: list[Reading]) -> Array:
    return np.array([[*one.ratings.values(), *one.general.values(), *one.characters.values()] for one in readings])


def test_pre_processing_is_the_published_one(pictures: list[Image.Image], references: Array) -> None:
    for number, (image, wanted) in enumerate(zip(pictures, references, strict=True)):
        found = prepared(image, SIZE)
        assert found.shape == (SIZE, SIZE, 3)
        assert found.dtype == np.float32
        # 8 bits: of the transparency and after scaling; upwards also between its two directions, where they cut off
        # what the cubic curve overshoots, at a few edges.
        upwards = max(image.size) < SIZE
        assert np.abs(found - wanted).max() <= (16 if upwards else 1), number
        assert np.abs(found - wanted).mean() < (0.2 if upwards else 0.5), number


def test_the_reference_would_see_a_mistake(pictures: list[Image.Image], references: Array) -> None:
    found = prepared(pictures[1], SIZE).astype(np.float64)
    box = np.asarray(pictures[2].convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX))[:, :, ::-1]
    for wrong in (found[:, :, ::-1], found[:, ::-1], found / 255, np.roll(found, 8, 1)):
        assert np.abs(wrong - references[1]).mean() > 2
    assert np.abs(box - references[2]).mean() > 2


def test_probabilities_equal_the_reference_on_20_images(
    tmp_path: Path, pictures: list[Image.Image], references: Array
) -> None:
    folder = model(tmp_path, size=SIZE)
    readings = Wd14("test", folder, device="cpu").tag(pictures)
    rows = write_tags(tmp_path / "selected_tags.csv")
    wanted = expected(references, weights(SIZE, len(rows)))
    assert np.abs(rows_of(readings) - wanted).max() < 5e-3
    assert wanted.std(0).min() > 0.005  # the pictures do differ in every tag
    assert list(readings[0].ratings) == ["general", "sensitive", "questionable", "explicit"]
    assert list(readings[0].characters) == [name for name, kind in rows if kind == 4]
    assert list(readings[0].general) == [name for name, kind in rows if kind == 0]


@pytest.mark.parametrize(("batch", "at_once"), [("unk__1", 1), ("unk__1", 7), ("unk__1", 64), (1, 8), (3, 8)])
def test_batched_equals_single(tmp_path: Path, pictures: list[Image.Image], batch: int | str, at_once: int) -> None:
    many = Wd14("test", model(tmp_path / "a", batch), device="cpu", batch=at_once).tag(pictures)
    one_by_one = Wd14("test", model(tmp_path / "b"), device="cpu", batch=1)
    single = [reading for image in pictures for reading in one_by_one.tag([image])]
    assert len(many) == len(pictures)
    assert np.abs(rows_of(many) - rows_of(single)).max() < 1e-6


def test_no_image_is_no_reading(tmp_path: Path) -> None:
    assert Wd14("test", model(tmp_path), device="cpu").tag([]) == []


def test_a_file_that_is_no_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for content in (b"", b"not a model", b"<html>Not found</html>", b"version https://git-lfs.github.com/spec/v1\n"):
        folder = model(tmp_path)
        (folder / "model.onnx").write_bytes(content)
        with pytest.raises(BadTagger) as caught:
            Wd14("test", folder)
        assert says(caught.value, "model.onnx")
        assert caught.value.key == "tagger_not_onnx"
    (folder / "model.onnx").unlink()
    with pytest.raises(BadTagger):
        Wd14("test", folder)


def test_a_cut_off_model_is_refused(tmp_path: Path) -> None:
    folder = model(tmp_path)
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadTagger):
        Wd14("test", folder)


@pytest.mark.parametrize("count", [16, 18])
def test_a_tag_list_of_another_length_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(BadTagger) as caught:
        Wd14("test", model(tmp_path, count=count))
    assert says(caught.value, str(count), "17", str(tmp_path))


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = model(tmp_path)
    content = (folder / "model.onnx").read_bytes()
    sides = field(1, field(1, SMALL)) * 2
    assert sides in content
    other = field(1, field(1, SMALL)) + field(1, field(1, SMALL + 1))
    (folder / "model.onnx").write_bytes(content.replace(sides, other, 1))
    with pytest.raises(BadTagger) as caught:
        Wd14("test", folder)
    assert caught.value.key == "tagger_other_model"
    assert says(caught.value, "96, 97, 3")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"tag_id,name,category,count\n",
        b"name\nhat\n",
        b"tag_id,name,category\n1,hat,x\n",
        b"\xff\xfe\x00",
        b"\0" * 9,
    ],
)
def test_a_broken_tag_list_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "selected_tags.csv").write_bytes(content)
    with pytest.raises(BadTagger) as caught:
        read_tag_list(tmp_path / "selected_tags.csv")
    assert says(caught.value, "selected_tags.csv")


def test_it_falls_back_to_the_processor_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    path = model(tmp_path) / "model.onnx"
    assert Session(path, "cpu").notice is None
    if CUDA not in onnxruntime.get_available_providers():
        assert Session(path).notice.key == "cuda_not_built"  # type: ignore[union-attr]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA])
    monkeypatch.setattr("lora_trainer.tagging.session._torch_has_cuda", lambda: False)
    assert Session(path).notice.key == "cuda_no_card"  # type: ignore[union-attr]
    monkeypatch.setattr("lora_trainer.tagging.session._torch_has_cuda", lambda: True)
    fallen = Session(path)  # onnxruntime itself falls back without an error
    assert fallen.on_cuda or fallen.notice.key == "cuda_not_loaded"  # type: ignore[union-attr]
    assert Wd14("test", tmp_path).tag([painting(0)])


def test_a_card_that_fails_at_work_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(model(tmp_path) / "model.onnx", "cpu")
    real: Any = session._session

    class Failing:
        get_inputs, get_outputs = real.get_inputs, real.get_outputs

        def get_providers(self) -> list[str]:
            return [CUDA]

        def run(self, *_: object) -> None:
            raise RuntimeError("CUDA out of memory\nand more")

    session._session = Failing()
    batch = np.zeros((2, SMALL, SMALL, 3), np.float32)
    assert session.run(batch).shape == (2, 17)
    assert session.notice is not None
    assert "CUDA out of memory." in session.notice.text()
    assert not session.on_cuda


def test_mcut_is_the_middle_of_the_widest_gap() -> None:
    assert mcut([0.9, 0.1, 0.8, 0.2]) == pytest.approx(0.5)
    assert mcut([0.3, 0.95]) == pytest.approx(0.625)
    assert mcut([0.7]) == mcut([]) == 0
    assert mcut([0.8, 0.6, 0.4]) == pytest.approx(0.7)  # of equal gaps the first


def test_thresholds_choose() -> None:
    reading = Reading({"a": 0.3, "b": 0.9, "c": 0.36}, {"x": 0.1, "y": 0.05}, {"safe": 0.4, "not": 0.6})
    plain = probable(reading, Thresholds(general=0.35))
    assert (list(plain.general), plain.characters, plain.ratings) == (["b", "c"], {}, {})
    assert list(probable(reading, Thresholds(general=0.36)).general) == ["b"]  # above, not at
    assert probable(reading, Thresholds(rating=0)).ratings == {"not": 0.6}
    assert probable(reading, Thresholds(rating=0.7)).ratings == {}
    cut = probable(reading, Thresholds(general_mcut=True, character_mcut=True))
    assert (list(cut.general), cut.characters) == (["b"], {})  # characters never below 0.15
    many = Reading({}, {"x": 0.5, "y": 0.02})
    assert list(probable(many, Thresholds(character_mcut=True)).characters) == ["x"]
