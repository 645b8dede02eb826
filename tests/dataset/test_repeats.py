"""Single images may be seen more often than their folder says; a bad list is refused by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_trainer.dataset.repeats import read_repeats
from lora_trainer.errors import BadDataset

from .files import says

IMAGES = ["a.png", "b 1.jpg", "图.webp", "10:30.png"]


def read(folder: Path, text: str, images: list[str] | None = None) -> dict[str, int]:
    (folder / "repeats.txt").write_text(text, encoding="utf-8")
    return read_repeats(folder, [folder / name for name in images or IMAGES])


def test_lines(tmp_path: Path) -> None:
    text = "\ufeffa.png: 5\r\n\n  b 1.jpg:1000\n图.webp ： 2  \n10:30.png: 1"
    assert read(tmp_path, text) == {"a.png": 5, "b 1.jpg": 1000, "图.webp": 2, "10:30.png": 1}
    assert read(tmp_path, "") == {}


def test_no_list(tmp_path: Path) -> None:
    assert read_repeats(tmp_path, [tmp_path / "a.png"]) == {}


def test_the_caption_of_an_image_with_that_name_is_no_list(tmp_path: Path) -> None:
    assert read(tmp_path, "a hat, sky", ["a.png", "repeats.png"]) == {}


@pytest.mark.parametrize(
    "line", ["a.png", "a.png: ", "a.png: five", "a.png: 0", "a.png: 1001", "a.png: -1", ": 5", "a.png 5"]
)
def test_lines_of_another_form(tmp_path: Path, line: str) -> None:
    with pytest.raises(BadDataset) as caught:
        read(tmp_path, f"b 1.jpg: 2\n\n{line}\n")
    assert caught.value.key == "repeats_malformed"
    assert says(caught.value, "3", "repeats.txt", line.strip())


@pytest.mark.parametrize("name", ["gone.png", "A.PNG", "a"])
def test_images_that_are_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadDataset) as caught:
        read(tmp_path, f"{name}: 2")
    assert caught.value.key == "repeats_unknown"
    assert says(caught.value, name, str(tmp_path))


def test_two_numbers_for_one_image(tmp_path: Path) -> None:
    with pytest.raises(BadDataset) as caught:
        read(tmp_path, "a.png: 2\na.png: 3")
    assert caught.value.key == "repeats_twice"
    assert says(caught.value, "a.png", "2")


def test_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "repeats.txt").write_bytes("红色帽子.webp: 2".encode("gbk"))
    with pytest.raises(BadDataset) as caught:
        read_repeats(tmp_path, [tmp_path / "红色帽子.webp"])
    assert caught.value.key == "caption_encoding"
    assert says(caught.value, "repeats.txt")
