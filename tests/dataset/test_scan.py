"""A folder becomes a list of items; a bad folder becomes a sentence that names what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from lora_trainer.dataset.scan import Item, dataset_dirs, scan, tag_frequency
from lora_trainer.errors import BadDataset
from lora_trainer.settings import DataSettings

from .files import ORIENTATION, cut, picture, save, says


def scanned(folder: Path | str, **values: object) -> list[Item]:
    return scan(DataSettings(images=str(folder), **values))  # type: ignore[arg-type]


def test_flat_folder(tmp_path: Path) -> None:
    folder = tmp_path / "我的 数据 集"
    save(folder / "b.PNG", 40, 30, "hat,\nred  scarf ")
    save(folder / "A.jpg", 50, 20)
    save(folder / "c.Jpeg", caption="")
    save(folder / "图 1.webp", caption="miku_v1, sky")
    items = scanned(folder, trigger="miku_v1", repeats=7)

    assert [item.path.name for item in items] == ["A.jpg", "b.PNG", "c.Jpeg", "图 1.webp"]
    assert [item.caption for item in items] == ["miku_v1", "miku_v1, hat, red scarf", "miku_v1", "miku_v1, sky"]
    assert items[0] == Item(folder / "A.jpg", "miku_v1", 50, 20, 7, "我的 数据 集")
    assert {item.repeats for item in items} == {7}


def test_kohya_folders_and_flat_images_both_count(tmp_path: Path) -> None:
    save(tmp_path / "flat.png", caption="sky")
    save(tmp_path / "20_sks girl" / "1.png")
    save(tmp_path / "20_sks girl" / "2.png", caption="hat")
    save(tmp_path / "20_sks girl" / "3.png", caption="")
    save(tmp_path / "5_my_style" / "1.png")
    items = scanned(tmp_path, trigger="sks", repeats=3)

    assert [(item.group, item.path.name, item.repeats, item.caption) for item in items] == [
        (tmp_path.name, "flat.png", 3, "sks, sky"),
        ("20_sks girl", "1.png", 20, "sks girl"),
        ("20_sks girl", "2.png", 20, "sks, hat"),
        ("20_sks girl", "3.png", 20, "sks"),
        ("5_my_style", "1.png", 5, "sks, my_style"),
    ]


def test_what_does_not_count_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    for name in ("notes.md", "Thumbs.db", "a.npz", "movie.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".hidden.png").write_bytes(b"x")
    (tmp_path / "._a.png").write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    for folder in ("old", "x_20", "0_none", "2024_holiday", "-3_less", "20", ".10_hidden", "10_name/20_deep"):
        save(tmp_path / folder / "b.png")
    assert [item.path.name for item in scanned(tmp_path)] == ["a.png"]


def test_order_does_not_depend_on_case_or_on_the_file_system(tmp_path: Path) -> None:
    for name in ("B.png", "a.png", "C.png", "a2.png", "a10.png"):
        save(tmp_path / name)
    assert [item.path.stem for item in scanned(tmp_path)] == ["a", "a10", "a2", "B", "C"]


def test_size_is_the_upright_one(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = 6
    picture(64, 48).save(tmp_path / "phone.jpg", exif=tags)
    [item] = scanned(tmp_path)
    assert (item.width, item.height) == (48, 64)


def test_paths_as_people_enter_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "cats" / "a.png")
    assert scanned(f' "{tmp_path / "cats"}" ')[0].group == "cats"  # Windows: "Copy as path"
    monkeypatch.chdir(tmp_path / "cats")
    [item] = scanned(".")
    assert item.group == "cats"
    assert item.path.is_absolute()


@pytest.mark.parametrize("images", ["", "  ", '""'])
def test_no_folder_set(images: str) -> None:
    with pytest.raises(BadDataset) as caught:
        scanned(images)
    assert (caught.value.key, caught.value.field) == ("folder_unset", "images")


def test_folder_missing(tmp_path: Path) -> None:
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path / "没有")
    assert caught.value.key == "folder_missing"
    assert says(caught.value, str(tmp_path / "没有"))


def test_path_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(BadDataset) as caught:
        scanned(save(tmp_path / "a.png"))
    assert caught.value.key == "folder_is_file"
    assert says(caught.value, "a.png")


def test_no_such_path_can_exist(tmp_path: Path) -> None:
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path / "a\0b")
    assert caught.value.key in ("folder_unreadable", "folder_missing")


def test_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path)
    assert caught.value.key == "folder_unreadable"
    assert says(caught.value, str(tmp_path), "Permission denied")


def test_folder_empty(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_bytes(b"x")
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path)
    assert caught.value.key == "folder_empty"
    assert says(caught.value, str(tmp_path))


def test_folder_without_images_says_what_is_there(tmp_path: Path) -> None:
    for name in ("a.txt", "b.bmp", "c.heic", "d.txt", "e.txt", "f.txt"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path)
    assert caught.value.key == "no_images"
    assert says(caught.value, str(tmp_path), "a.txt, b.bmp, c.heic, d.txt, e.txt …")


def test_only_empty_kohya_folders(tmp_path: Path) -> None:
    (tmp_path / "10_cat").mkdir()
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path)
    assert caught.value.key == "no_images"
    assert says(caught.value, "10_cat")


def test_unreadable_image_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    cut(save(tmp_path / "broken.jpg", 200, 200))
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path)
    assert caught.value.key == "image_unreadable"
    assert says(caught.value, "broken.jpg")


def test_caption_in_gbk_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a.png").with_suffix(".txt").write_bytes("红色帽子".encode("gbk"))
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path)
    assert caught.value.key == "caption_encoding"
    assert says(caught.value, "a.txt")


@pytest.mark.skipif(os.name == "nt", reason="Windows' names have no case")
def test_names_that_differ_in_case_only_keep_an_order(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "A.png")
    assert [item.path.name for item in scanned(tmp_path)] in (["A.png", "a.png"], ["A.png"], ["a.png"])


def test_metadata_of_the_groups() -> None:
    def item(caption: str, group: str, repeats: int) -> Item:
        return Item(Path("a.png"), caption, 8, 8, repeats, group)

    items = [item("Sks, Hat", "20_sks", 20), item("sks, hat, sky", "20_sks", 20), item("", "flat", 3)]
    assert tag_frequency(items) == {"20_sks": {"sks": 2, "hat": 2, "sky": 1}, "flat": {}}
    assert dataset_dirs(items) == {
        "20_sks": {"n_repeats": 20, "img_count": 2},
        "flat": {"n_repeats": 3, "img_count": 1},
    }
