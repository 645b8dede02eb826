"""A folder becomes a list of items; a bad folder becomes a sentence that names what is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lora_trainer.dataset.captions import Wording
from lora_trainer.dataset.scan import Item, equalised, scan, scan_regularisation
from lora_trainer.errors import BadDataset, BadSettings
from lora_trainer.settings import CaptionSettings, DataSettings

from .files import ORIENTATION, cut, picture, save, says


def scanned(folder: Path | str, captions: CaptionSettings | None = None, **values: Any) -> list[Item]:
    return scan(DataSettings(images=str(folder), **values), captions or CaptionSettings())


def regularisation(folder: Path, captions: CaptionSettings | None = None, **values: Any) -> list[Item]:
    data = DataSettings(images=str(folder.parent / "other"), reg_data_dir=str(folder), trigger="sks", **values)
    return scan_regularisation(data, captions or CaptionSettings())


def test_flat_folder(tmp_path: Path) -> None:
    folder = tmp_path / "我的 数据 集"
    save(folder / "b.PNG", 40, 30, "hat,\nred  scarf ")
    save(folder / "A.jpg", 50, 20)
    save(folder / "c.Jpeg", caption="")
    save(folder / "图 1.webp", caption="miku_v1, sky")
    items = scanned(folder, trigger="miku_v1", repeats=7)

    assert [item.path.name for item in items] == ["A.jpg", "b.PNG", "c.Jpeg", "图 1.webp"]
    assert [item.caption for item in items] == ["miku_v1", "miku_v1, hat, red scarf", "miku_v1", "miku_v1, sky"]
    assert items[0] == Item(folder / "A.jpg", Wording(("miku_v1",)), 50, 20, 7, "我的 数据 集", 7)
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
    for name in ("a.txt", "b.tga", "c.heic", "d.txt", "e.txt", "f.txt"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path)
    assert caught.value.key == "no_images"
    assert says(caught.value, str(tmp_path), "a.txt, b.tga, c.heic, d.txt, e.txt …")


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


def test_captions_of_another_ending(tmp_path: Path) -> None:
    save(tmp_path / "a.png").with_suffix(".caption").write_text("hat", encoding="utf-8")
    save(tmp_path / "b.png").with_name("b.wd.txt").write_text("sky", encoding="utf-8")
    assert [i.caption for i in scanned(tmp_path, CaptionSettings(caption_extension="caption"))] == ["hat", ""]
    assert [i.caption for i in scanned(tmp_path, CaptionSettings(caption_extension=".wd.txt"))] == ["", "sky"]


@pytest.mark.parametrize(("there", "asked"), [(".caption", ".txt"), (".txt", ".caption"), (".txt", ".tags")])
def test_captions_that_would_all_be_passed_over(tmp_path: Path, there: str, asked: str) -> None:
    save(tmp_path / "a.png").with_suffix(there).write_text("hat", encoding="utf-8")
    save(tmp_path / "b.png")
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path, CaptionSettings(caption_extension=asked))
    assert (caught.value.key, caught.value.field) == ("captions_elsewhere", "caption_extension")
    assert says(caught.value, there, asked)
    save(tmp_path / "c.png").with_suffix(asked).write_text("sky", encoding="utf-8")
    assert scanned(tmp_path, CaptionSettings(caption_extension=asked))[2].caption == "sky"


def test_bad_caption_settings_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    for read in (scanned, regularisation):
        with pytest.raises(BadSettings):
            read(tmp_path / "missing", CaptionSettings(keep_tokens_separator=" "))


def test_class_words(tmp_path: Path) -> None:
    save(tmp_path / "flat.png")
    save(tmp_path / "2_girl" / "1.png")
    save(tmp_path / "2_girl" / "2.png", caption="hat")
    save(tmp_path / "2_girl" / "3.png", caption="")
    assert [i.caption for i in scanned(tmp_path, trigger="sks")] == ["sks", "sks, girl", "sks, hat", "sks"]
    own = scanned(tmp_path, CaptionSettings(class_tokens="1girl, solo"), trigger="sks")
    assert [i.caption for i in own] == ["sks, 1girl, solo", "sks, 1girl, solo", "sks, hat", "sks"]


def test_what_is_made_of_a_caption(tmp_path: Path) -> None:
    save(tmp_path / "a.png", caption="girl ||| hat, red\nscarf ||| night")
    captions = CaptionSettings(keep_tokens_separator="|||", caption_prefix="photo of", caption_suffix="sky")
    [item] = scanned(tmp_path, captions, trigger="sks")
    assert item.wording == Wording(("sks", "photo of girl"), ("hat", "red", "scarf"), ("night sky",))
    assert item.caption == "sks, photo of girl, hat, red, scarf, night sky"


def test_repeats_of_single_images(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    save(tmp_path / "4_cat" / "a.png")
    (tmp_path / "repeats.txt").write_text("a.png: 3\n", encoding="utf-8")
    items = scanned(tmp_path, repeats=10)
    assert [(i.path.parent.name, i.path.name, i.repeats, i.folder_repeats) for i in items] == [
        (tmp_path.name, "a.png", 3, 10),
        (tmp_path.name, "b.png", 10, 10),
        ("4_cat", "a.png", 4, 4),
    ]


def test_masks_are_found_by_name(tmp_path: Path) -> None:
    images, masks = tmp_path / "images", tmp_path / "masks"
    save(images / "a.png")
    save(images / "b.jpg")
    save(images / "1_cat" / "a.png")
    save(images / "1_dog" / "a.png")
    save(masks / "a.webp", 20, 15)
    save(masks / "1_cat" / "a.jpg")
    assert [item.mask for item in scanned(images, mask_dir=str(masks))] == [
        masks / "a.webp",
        None,
        masks / "1_cat" / "a.jpg",
        masks / "a.webp",
    ]
    both = scanned(images, mask_dir=str(masks), alpha_mask=True)
    assert both[1].mask == images / "b.jpg"  # its transparency
    assert [item.mask for item in both if item.path.name == "a.png"] == [
        masks / "a.webp",
        masks / "1_cat" / "a.jpg",
        masks / "a.webp",
    ]
    assert {item.mask for item in scanned(images)} == {None}


def masks_missing(folder: Path) -> str:
    return "folder_missing"


def masks_empty(folder: Path) -> str:
    save(folder / "of another image.png")
    return "masks_unmatched"


def masks_damaged(folder: Path) -> str:
    cut(save(folder / "a.png", 200, 150))
    return "image_unreadable"


def masks_of_another_shape(folder: Path) -> str:
    save(folder / "a.png", 40, 32)
    return "mask_misfit"


def masks_turned(folder: Path) -> str:
    save(folder / "a.png", 30, 40)
    return "mask_misfit"


def masks_in_pairs(folder: Path) -> str:
    save(folder / "a.png")
    save(folder / "a.jpg")
    return "mask_twice"


@pytest.mark.parametrize(
    "make", [masks_missing, masks_empty, masks_damaged, masks_of_another_shape, masks_turned, masks_in_pairs]
)
@pytest.mark.parametrize("alpha_mask", [False, True])
def test_bad_masks_are_refused(tmp_path: Path, make: Any, alpha_mask: bool) -> None:
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "images" / "b.png")
    key = make(tmp_path / "masks")
    with pytest.raises(BadDataset) as caught:
        scanned(tmp_path / "images", mask_dir=str(tmp_path / "masks"), alpha_mask=alpha_mask)
    assert (caught.value.key, caught.value.field) == (key, "mask_dir")
    assert key == "mask_misfit" or says(caught.value, "masks") or says(caught.value, "a.png")


@pytest.mark.parametrize("size", [(80, 60), (20, 15), (41, 31), (13, 10), (4000, 2999)])
def test_masks_of_other_sizes_and_the_same_shape(tmp_path: Path, size: tuple[int, int]) -> None:
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / "a.png", *size)
    [item] = scanned(tmp_path / "images", mask_dir=str(tmp_path / "masks"))
    assert item.mask == tmp_path / "masks" / "a.png"


@pytest.mark.parametrize("field", ["mask_dir", "reg_data_dir"])
def test_one_folder_for_two_things(tmp_path: Path, field: str) -> None:
    save(tmp_path / "a.png")
    data = DataSettings(images=str(tmp_path), **{field: f"{tmp_path / 'x' / '..'}"})  # type: ignore[arg-type]
    (tmp_path / "x").mkdir()
    with pytest.raises(BadDataset) as caught:
        (scan if field == "mask_dir" else scan_regularisation)(data, CaptionSettings())
    assert (caught.value.key, caught.value.field) == ("folder_twice", field)


def test_regularisation_images(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    save(folder / "flat.png")
    save(folder / "3_girl" / "1.png")
    save(folder / "3_girl" / "2.png", caption="hat, sky")
    save(folder / "2_" / "1.png")
    items = regularisation(folder, CaptionSettings(class_tokens="person"), alpha_mask=True)
    assert [(i.group, i.repeats, i.caption) for i in items] == [
        ("class", 1, "person"),
        ("2_", 2, "person"),
        ("3_girl", 3, "girl"),  # the folder's own words, and no trigger
        ("3_girl", 3, "hat, sky"),
    ]
    assert all(item.is_reg and item.mask == item.path for item in items)
    assert scan_regularisation(DataSettings(images=str(folder)), CaptionSettings()) == []
    assert not any(item.is_reg for item in scanned(folder))


def test_bad_regularisation_images_are_the_fault_of_their_setting(tmp_path: Path) -> None:
    with pytest.raises(BadDataset) as caught:
        regularisation(tmp_path / "gone")
    assert (caught.value.key, caught.value.field) == ("folder_missing", "reg_data_dir")
    cut(save(tmp_path / "class" / "1_a" / "bad.png", 200, 200))
    with pytest.raises(BadDataset) as caught:
        regularisation(tmp_path / "class")
    assert (caught.value.key, caught.value.field) == ("image_unreadable", "reg_data_dir")
    assert says(caught.value, "bad.png")


def kohyas_repeats(repeats: list[int], count: int) -> list[int]:
    """One showing after the other, as kohya's documentation tells it."""
    given = [0] * len(repeats)
    for index, times in enumerate(repeats):
        if sum(given) < count:
            given[index] = times
    turn = 0
    while sum(given) < count:
        given[turn % len(given)] += 1
        turn += 1
    return [times for times in given if times]


@pytest.mark.parametrize("count", [1, 2, 5, 7, 8, 9, 20, 23, 100])
@pytest.mark.parametrize("repeats", [[1], [1, 1, 1], [3, 2, 2], [5, 1, 1, 1], [1] * 30])
def test_regularisation_images_are_as_many_as_the_others(repeats: list[int], count: int) -> None:
    items = [Item(Path(f"{n}.png"), Wording(), 8, 8, r, "g", r, is_reg=True) for n, r in enumerate(repeats)]
    found = equalised(items, count)
    assert [item.repeats for item in found] == kohyas_repeats(repeats, count)
    assert [item.path for item in found] == [item.path for item in items[: len(found)]]
    assert all(item.folder_repeats == repeats[index] for index, item in enumerate(found))
    if set(repeats) == {1}:
        assert sum(item.repeats for item in found) == count


def test_no_regularisation_images() -> None:
    assert equalised([], 5) == []
    assert equalised([Item(Path("a.png"), Wording(), 8, 8, 1, "g", 1)], 0) == []
