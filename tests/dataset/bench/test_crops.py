"""Crops have the shape that is asked for, lie within the picture, and keep faces, then detail."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from lora_trainer.dataset.bench.crops import Cut, centre_box, detail, face_box, focus_box, largest, split_boxes

SIZES = [(100, 100), (300, 100), (100, 300), (1000, 7), (7, 1000), (1, 1), (641, 479)]
ASPECTS = [(1, 1), (2, 3), (832, 1216), (64, 1)]


def spotted(size: tuple[int, int], at: tuple[int, int], noise: int = 0) -> Image.Image:
    """A flat picture with a chequered spot of 20 pixels."""
    pixels = np.random.default_rng(0).integers(128 - noise, 129 + noise, (size[1], size[0]))
    spot = (np.indices((20, 20)).sum(axis=0) // 4 % 2) * 255
    pixels[at[1] : at[1] + 20, at[0] : at[0] + 20] = spot
    return Image.fromarray(pixels.astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("aspect", ASPECTS)
def test_shape_and_place(size: tuple[int, int], aspect: tuple[int, int]) -> None:
    picture = Image.new("RGB", size)
    for box in (centre_box(size, aspect), focus_box(picture, aspect, [])):
        left, top, right, bottom = box
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        assert (right - left, bottom - top) == largest(size, aspect)
        assert right - left == size[0] or bottom - top == size[1]
        assert abs(left - (size[0] - right)) <= 1, "a picture without detail is cut evenly"


@pytest.mark.parametrize("at", [5, 60, 150, 275])
@pytest.mark.parametrize("noise", [0, 6])
def test_detail_is_kept(at: int, noise: int) -> None:
    wide = focus_box(spotted((300, 100), (at, 40), noise), (1, 1), [])
    assert wide[0] <= at and at + 20 <= wide[2]
    tall = focus_box(spotted((100, 300), (40, at), noise), (1, 1), [])
    assert tall[1] <= at and at + 20 <= tall[3]


def test_a_face_counts_more_than_detail() -> None:
    picture = spotted((300, 100), (270, 40))
    left, _, right, _ = focus_box(picture, (1, 1), [(10, 20, 50, 60)])
    assert left <= 10 and right >= 50


def test_more_faces_count_more_and_none_is_cut_where_that_can_be() -> None:
    faces = [(0, 10, 40, 50), (150, 10, 180, 40), (190, 10, 230, 50)]
    left, _, right, _ = focus_box(Image.new("RGB", (300, 100)), (1, 1), faces)
    assert left <= 150 and right >= 230


def test_a_face_that_is_larger_than_the_part_is_met_in_its_middle() -> None:
    left, _, right, _ = focus_box(Image.new("RGB", (300, 100)), (1, 1), [(160, 0, 290, 100)])
    assert left >= 160 and right <= 290


def test_detail_is_where_it_happens() -> None:
    energy = detail(spotted((200, 100), (150, 10)))
    assert energy.shape == (100, 200)
    assert energy[9:31, 149:171].sum() > 0.9 * energy.sum() > 0


@pytest.mark.parametrize(
    ("size", "count"), [((100, 100), 0), ((149, 100), 0), ((150, 100), 2), ((500, 100), 6), ((90, 1000), 14)]
)
def test_squares_along_a_long_picture(size: tuple[int, int], count: int) -> None:
    boxes = split_boxes(size, overlap=0.2)
    assert len(boxes) == count
    if not boxes:
        return
    side, along = min(size), 0 if size[0] > size[1] else 1
    starts = [box[along] for box in boxes]
    assert (starts[0], starts[-1] + side) == (0, max(size))
    assert all(box[2] - box[0] == box[3] - box[1] == side for box in boxes)
    assert all(side - (after - before) >= 0.2 * side - 1 for before, after in itertools.pairwise(starts))


def test_a_square_around_a_face() -> None:
    assert face_box((400, 300), (100, 100, 140, 150), margin=0.5) == (70, 75, 170, 175)
    assert face_box((400, 300), (0, 0, 40, 40), margin=0.5) == (0, 0, 80, 80)
    assert face_box((400, 300), (380, 280, 400, 300), margin=1.0) == (340, 240, 400, 300)
    assert face_box((100, 60), (10, 10, 50, 50), margin=2.0) == (0, 0, 60, 60)


def test_a_part_is_scaled_down_but_never_up() -> None:
    picture = spotted((200, 100), (0, 0))
    assert Cut("x", (0, 0, 100, 100), (50, 50)).taken_from(picture).size == (50, 50)
    assert Cut("x", (0, 0, 100, 100), (500, 500)).taken_from(picture).size == (100, 100)
    mirrored = Cut("x", (0, 0, 200, 100), (200, 100), mirrored=True).taken_from(picture)
    assert np.array_equal(np.asarray(mirrored), np.asarray(picture)[:, ::-1])
