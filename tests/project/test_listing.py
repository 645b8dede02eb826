"""The image list: filters, kinds, order, pages, and what is told of each image."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lora_trainer.dataset.bench.derived import origins_in
from lora_trainer.errors import BadSettings
from lora_trainer.project.enlarging import deriving
from lora_trainer.project.listing import Listing, Query
from lora_trainer.project.project import Project
from lora_trainer.project.repeating import set_repeats
from lora_trainer.project.thumbnails import Thumbnails, version_of
from tests.dataset.files import ORIENTATION, cut, picture, save
from tests.project.sets import at_once, filled, new_project


def page(project: Project, **wanted: Any) -> dict[str, Any]:
    return Listing(project, len).page(Query(**wanted))


def names(project: Project, **wanted: Any) -> list[str]:
    return [item["name"] for item in page(project, **wanted)["items"]]


def test_what_is_told_of_an_image(tmp_path: Path) -> None:
    project = filled(tmp_path, 3)
    (project.images_folder / "repeats.txt").write_text("image 1.png: 4\n", encoding="utf-8")
    first, second, third = page(project)["items"]
    assert first["tags"] == ["mychr", "hat", "number 0"] and first["tokens"] == len(first["caption"])
    assert (first["width"], first["height"], first["folder"], first["repeats"]) == (40, 30, "", 10)
    assert (second["tags"], second["caption"], second["repeats"]) == ([], "", 4)
    assert (third["folder"], third["repeats"], third["parent"], third["derivation"]) == ("5_side", 5, None, "")
    assert first["findings"] == [] and len({first["version"], second["version"], third["version"]}) == 3


def test_filters_kinds_and_findings(tmp_path: Path) -> None:
    project = filled(tmp_path, 4)
    assert names(project, filter="number*") == ["image 0.png", "image 2.png"]
    assert names(project, kind="untagged") == ["image 1.png", "image 3.png"]
    project.note_findings({"blurred": [project.images_folder / "image 3.png"]})
    assert names(project, kind="finding:blurred") == ["image 3.png"] and names(project, kind="finding:other") == []
    assert page(project, kind="finding:blurred")["items"][0]["findings"] == ["blurred"]
    told = page(project, filter="not *", limit=1, offset=1)
    assert (told["total"], told["shown"], [item["name"] for item in told["items"]]) == (4, 2, ["image 3.png"])


def test_derived_images_name_their_parents(tmp_path: Path) -> None:
    project = filled(tmp_path, 2)
    parent = project.images().entries[0]
    at_once(deriving(project, {"kind": "mirror", "images": [parent.id]}, ()))
    (made,) = page(project, kind="derived")["items"]
    assert (made["parent"], made["derivation"]) == (parent.id, "mirror")
    assert len(names(project, kind="originals")) == 2
    parent.path.unlink()
    assert page(project, kind="derived")["items"][0]["parent"] is None


def test_derived_images_keep_their_parents_when_repeats_rename_their_folder(tmp_path: Path) -> None:
    project = filled(tmp_path, 3)
    at_once(deriving(project, {"kind": "mirror", "images": "all"}, ()))
    set_repeats(project, {"folder": "5_side", "repeats": 8})
    made = {item["name"]: item for item in page(project, kind="derived")["items"]}
    parents = {entry.id: entry.name for entry in project.images().entries}
    assert parents[made["image 2_mirror.png"]["parent"]] == "8_side/image 2.png" and len(made) == 3
    assert len(origins_in(project.images_folder)) == 3
    assert all(path.is_file() for pair in origins_in(project.images_folder).items() for path in pair)


def test_order(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    for name, size, tags in (("a", 90, "x, y, z"), ("b", 50, "x"), ("c", 70, "x, y")):
        save(project.images_folder / f"{name}.png", size, size, tags)
    assert names(project) == ["a.png", "b.png", "c.png"]
    assert names(project, sort="tags") == ["b.png", "c.png", "a.png"]
    assert names(project, sort="size") == ["b.png", "c.png", "a.png"]


@pytest.mark.parametrize(
    "wanted",
    [{"sort": "date"}, {"kind": "mine"}, {"limit": 0}, {"limit": 501}, {"offset": -1}, {"filter": "hat and"}],
)
def test_what_cannot_be_asked(tmp_path: Path, wanted: dict[str, Any]) -> None:
    project = filled(tmp_path, 1)
    with pytest.raises(BadSettings):
        page(project, **wanted)


def test_sizes_are_upright_and_follow_the_file(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.images_folder.mkdir()
    file = project.images_folder / "turned.jpg"
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    picture(40, 30).save(file, exif=exif)
    (item,) = page(project)["items"]
    assert (item["width"], item["height"]) == (30, 40)
    time.sleep(0.02)
    file.write_bytes(b"no image")
    (item,) = page(project)["items"]
    assert (item["width"], item["height"]) == (0, 0)


def test_an_empty_project(tmp_path: Path) -> None:
    assert page(new_project(tmp_path)) == {"total": 0, "shown": 0, "items": []}


def test_thumbnails_are_small_upright_and_kept(tmp_path: Path) -> None:
    thumbnails, cache = Thumbnails(), tmp_path / "thumbs"
    file = save(tmp_path / "a.png", 900, 300)
    content = thumbnails.jpeg(file, 160, cache)
    small = Image.open(cache / next(cache.iterdir()).name)
    assert small.size == (160, 53) and small.format == "JPEG"
    red = small.getpixel((10, 5))
    assert isinstance(red, tuple) and red[0] > 200 and red[2] < 60
    other = tmp_path / "b.png"
    other.write_bytes(file.read_bytes())
    assert thumbnails.jpeg(other, 160, cache) == content and len(list(cache.iterdir())) == 1  # by content
    before = version_of(file)
    save(file, 300, 900)
    assert version_of(file) != before and thumbnails.jpeg(file, 160, cache) != content


def test_thumbnails_of_what_is_no_image_and_where_nothing_can_be_kept(tmp_path: Path) -> None:
    thumbnails = Thumbnails()
    broken = cut(save(tmp_path / "broken.png", 400, 400))
    for file in (broken, tmp_path / "gone.png"):
        with pytest.raises(Exception, match=r"“\w+\.png” cannot be read"):
            thumbnails.jpeg(file, 160, tmp_path / "thumbs")
    (tmp_path / "a file").write_bytes(b"")
    assert thumbnails.jpeg(save(tmp_path / "good.png"), 160, tmp_path / "a file" / "thumbs")[:2] == b"\xff\xd8"


def test_a_thousand_images_open_at_once(tmp_path: Path) -> None:
    """As many as a set may well have; the bound allows for a machine that others use as well."""
    project = new_project(tmp_path)
    content = save(tmp_path / "one.png", 64, 64).read_bytes()
    project.images_folder.mkdir()
    for number in range(1000):
        (project.images_folder / f"{number:04}.png").write_bytes(content)
        (project.images_folder / f"{number:04}.txt").write_text(f"mychr, tag {number % 50}", encoding="utf-8")
    begin = time.process_time()
    told = page(project)
    assert told["total"] == 1000 and len(told["items"]) == 60
    assert time.process_time() - begin < 1.5
    begin = time.process_time()
    page(project, filter="tag 7", offset=10)
    assert time.process_time() - begin < 0.5
