"""What is dropped is in the set afterwards, whole, with its captions; what cannot be used is named, nothing is lost."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from lora_trainer.dataset.bench import importing
from lora_trainer.dataset.bench.importing import import_images, use_in_place
from lora_trainer.dataset.repeats import read_repeats
from lora_trainer.dataset.scan import scan
from lora_trainer.settings import CaptionSettings, DataSettings

from ..files import bomb, cut, picture, save
from .told import Story, story


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def set_folder(tmp_path: Path) -> Path:
    return tmp_path / "set"


def brought(*sources: Path, into: Path) -> Story:
    return story(import_images(sources, into))


def content(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``, so that nothing is overlooked."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_folder_is_copied_with_its_captions(source: Path, set_folder: Path) -> None:
    save(source / "a.png", caption="hat")
    save(source / "10_mychr girl" / "b.JPG", caption="coat")
    save(source / "deep" / "er" / "c.webp")
    (source / "10_mychr girl" / "b.caption").write_text("another", encoding="utf-8")
    before = content(source)
    told = brought(source, into=set_folder)
    assert told.notes == []
    assert told.made.outcome == "finished"
    assert sorted(told.made.images) == ["10_mychr girl/b.JPG", "a.png", "c.webp"]
    assert [event.done for event in told.progress] == [0, 1, 2, 3]
    flat = {Path(name).name if name.startswith("deep") else name: bytes_ for name, bytes_ in before.items()}
    assert content(set_folder) == flat
    assert content(source) == before
    items = scan(DataSettings(images=str(set_folder), repeats=3), CaptionSettings())
    assert [(item.path.name, item.caption, item.repeats) for item in items] == [
        ("a.png", "hat", 3),
        ("c.webp", "", 3),
        ("b.JPG", "coat", 10),
    ]


def test_a_folder_of_kohyas_itself_keeps_its_name(source: Path, set_folder: Path) -> None:
    save(source / "7_hat" / "more" / "a.png")
    assert brought(source / "7_hat", into=set_folder).made.images == ("7_hat/a.png",)


def test_files_bring_captions_from_beside_them_or_along(source: Path, set_folder: Path) -> None:
    """A browser's upload puts each file into a folder of its own."""
    beside = save(source / "one" / "a.png", caption="beside")
    along = save(source / "two" / "b.png")
    caption = source / "three" / "b.txt"
    caption.parent.mkdir()
    caption.write_text("along", encoding="utf-8")
    told = brought(beside, along, caption, into=set_folder)
    assert told.notes == []
    assert (set_folder / "a.txt").read_text() == "beside"
    assert (set_folder / "b.txt").read_text() == "along"


def test_names_that_clash_get_numbers(source: Path, set_folder: Path) -> None:
    """One caption belongs to one image, also where only ending or case differ."""
    save(source / "a" / "same.png", 40, 30, "first")
    save(source / "b" / "same.png", 41, 30, "second")
    save(source / "c" / "SAME.jpg", 42, 30, "third")
    save(source / "d" / "same.png", 43, 30)
    told = brought(source, into=set_folder)
    assert told.notes == []
    assert sorted(content(set_folder)) == [
        "SAME_3.jpg", "SAME_3.txt", "same.png", "same.txt", "same_2.png", "same_2.txt", "same_4.png",
    ]  # fmt: skip
    assert (set_folder / "same_2.txt").read_text() == "second"
    assert (set_folder / "SAME_3.txt").read_text() == "third"


def test_images_that_share_a_caption_get_one_each(source: Path, set_folder: Path) -> None:
    save(source / "a.png", 40, 30, "shared")
    save(source / "a.jpg", 40, 30)
    brought(source, into=set_folder)
    assert {name for name in content(set_folder) if name.endswith(".txt")} == {"a.txt", "a_2.txt"}


def test_a_caption_without_image_in_the_set_is_not_taken_for_a_new_one(source: Path, set_folder: Path) -> None:
    save(source / "a.png", caption=None)
    save(source / "b.png", caption="new")
    set_folder.mkdir()
    for name in "ab":
        (set_folder / f"{name}.txt").write_text("of an image that is gone", encoding="utf-8")
    told = brought(source, into=set_folder)
    assert told.made.images == ("a_2.png", "b_2.png")
    assert (set_folder / "b.txt").read_text() == "of an image that is gone"
    assert not (set_folder / "a_2.txt").exists()


def test_again_brings_nothing_twice(source: Path, set_folder: Path) -> None:
    save(source / "a.png", caption="hat")
    save(source / "x" / "a.png", 41)
    save(source / "5_b" / "a.png", 42)
    brought(source, into=set_folder)
    before = content(set_folder)
    told = brought(source, into=set_folder)
    assert (told.made.images, told.made.known) == ((), 3)
    assert content(set_folder) == before


def test_a_known_image_gets_the_caption_that_it_lacks_but_keeps_its_own(source: Path, set_folder: Path) -> None:
    image = save(source / "a.png")
    brought(source, into=set_folder)
    image.with_suffix(".txt").write_text("late", encoding="utf-8")
    assert brought(source, into=set_folder).made.known == 1
    assert (set_folder / "a.txt").read_text() == "late"
    image.with_suffix(".txt").write_text("other", encoding="utf-8")
    assert brought(source, into=set_folder).made.images == ("a_2.png",)
    assert ((set_folder / "a.txt").read_text(), (set_folder / "a_2.txt").read_text()) == ("late", "other")


def test_single_repeats_come_along_under_the_new_names(source: Path, set_folder: Path) -> None:
    save(source / "a.png")
    save(source / "b.png")
    (source / "repeats.txt").write_text("a.png: 5\n", encoding="utf-8")
    set_folder.mkdir()
    save(set_folder / "a.png", 50)
    save(set_folder / "z.png", 51)
    (set_folder / "repeats.txt").write_text("z.png: 2\n", encoding="utf-8")
    told = brought(source, into=set_folder)
    assert told.notes == []
    assert read_repeats(set_folder, list(set_folder.glob("*.png"))) == {"z.png": 2, "a_2.png": 5}


def test_an_image_called_repeats_does_not_take_the_list_for_its_caption(source: Path, set_folder: Path) -> None:
    save(source / "repeats.png", caption="a caption")
    assert brought(source, into=set_folder).made.images == ("repeats_2.png",)
    assert sorted(content(set_folder)) == ["repeats_2.png", "repeats_2.txt"]


def test_the_set_in_its_own_source(source: Path) -> None:
    save(source / "a.png")
    inner = source / "set"
    assert brought(source, into=inner).made.images == ("a.png",)
    assert brought(source, into=inner).made.known == 1
    assert brought(inner, into=inner).keys == ["same_folder"]


HOSTILE = {
    'quote"s.png': "quote_s.png",
    "new\nline.png": "new_line.png",
    "<script>alert(1)<": "",
    "<script>alert(1).png": "_script_alert(1).png",
    "evil\u202egnp.png": "evil_gnp.png",
    "$(touch pwned);`x`.png": "$(touch pwned);`x`.png",
    "{0.__class__}.png": "{0.__class__}.png",
    "snow ❄️ 雪 👩‍🎨.png": "snow ❄️ 雪 👩‍🎨.png",
    "con.png": "_con.png",
    "dots. .png": "dots.png",
    "x" * 200 + ".png": "x" * 100 + ".png",
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize(("name", "plain"), [item for item in HOSTILE.items() if item[1]])
def test_hostile_names(source: Path, set_folder: Path, name: str, plain: str) -> None:
    save(source / name, caption="kept")
    told = brought(source, into=set_folder)
    assert told.made.images == (plain,)
    assert told.keys == ([] if plain == name else ["renamed"])
    assert (set_folder / plain).with_suffix(".txt").read_text() == "kept"
    assert (set_folder / plain).read_bytes() == (source / name).read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_name_that_is_no_text(source: Path, set_folder: Path) -> None:
    raw = os.fsencode(source) + b"/caf\xe9.png"
    save(source / "a.png").rename(Path(os.fsdecode(raw)))
    told = brought(source, into=set_folder)
    assert told.made.images == ("caf_.png",)
    assert told.keys == ["renamed"]


def test_a_path_of_300_characters(source: Path, set_folder: Path) -> None:
    deep = source / ("d" * 100) / ("e" * 100)
    path = save(deep / f"{'f' * 100}.png", caption="deep")
    assert len(str(path)) > 300
    told = brought(source, Path("g" * 300 + ".png"), into=set_folder)
    assert told.made.images == (f"{'f' * 100}.png",)
    assert told.keys == ["missing"]


def zero_bytes(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("<svg onload=alert(1)>", encoding="utf-8")


def huge(path: Path) -> None:
    bomb(path, 20_000)


def half(path: Path) -> None:
    picture(200, 200).save(path)
    cut(path)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path)


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere.png"))


BROKEN = {
    zero_bytes: "empty_file", text: "unreadable", half: "unreadable", huge: "too_many_pixels",
    pipe: "not_a_file", loop: "not_a_file", dangling: "not_a_file",
}  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="links and pipes need rights there")
@pytest.mark.parametrize("break_it", BROKEN)
def test_one_clear_note_each_and_the_rest_goes_on(source: Path, set_folder: Path, break_it: object) -> None:
    save(source / "a.png")
    break_it(source / "b.png")  # type: ignore[operator]
    save(source / "c.png")
    told = brought(source, into=set_folder)
    assert told.keys == [BROKEN[break_it]]  # type: ignore[index]
    assert "b.png" in told.notes[0].text("zh")
    assert sorted(content(set_folder)) == ["a.png", "c.png"]
    assert story(use_in_place(source)).made.images == ("a.png", "c.png")
    assert story(use_in_place(source)).keys == [BROKEN[break_it]]  # type: ignore[index]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_loop_of_links_ends(source: Path, set_folder: Path) -> None:
    save(source / "sub" / "a.png")
    (source / "sub" / "round").symlink_to(source)
    (source / "sub" / "self").symlink_to(source / "sub" / "self")
    told = brought(source, into=set_folder)
    assert sorted(told.keys) == ["loop", "not_a_file"]
    assert told.made.images == ("a.png",)


def test_what_is_no_image_stays_and_is_told_once(source: Path, set_folder: Path) -> None:
    save(source / "a.png")
    save(source / ".hidden.png")
    save(source / "__MACOSX" / "a.png")
    for name in ("notes.pdf", "b.txt", "model.safetensors"):
        (source / name).write_bytes(b"x")
    told = brought(source, into=set_folder)
    assert told.keys == ["others"]
    assert told.notes[0].values["count"] == 3
    assert list(content(set_folder)) == ["a.png"]


@pytest.mark.parametrize(("number", "key"), [(errno.ENOSPC, "disk_full"), (errno.EROFS, "unwritable")])
def test_a_disk_that_fills_up(
    source: Path, set_folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, key: str
) -> None:
    for name in "abc":
        save(source / f"{name}.png", caption=name)
    original, calls = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) > 3:
            raise OSError(number, os.strerror(number))
        return original(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace)
        told = brought(source, into=set_folder)
    assert told.keys == [key]
    assert told.made.outcome == "failed"
    assert told.made.images == ("a.png",)
    assert not (set_folder / importing.OURS / "incoming").exists()
    again = brought(source, into=set_folder)
    assert again.made.known == 1
    assert len(again.made.images) == 2
    captions = [file.read_text() for file in sorted(set_folder.glob("*.txt"))]
    assert {"a", "b", "c"} <= set(captions)


def test_a_folder_that_cannot_be_written(source: Path, tmp_path: Path) -> None:
    save(source / "a.png")
    (tmp_path / "file").write_bytes(b"")
    told = brought(source, into=tmp_path / "file" / "set")
    assert told.keys == ["unwritable"]
    assert told.made.outcome == "failed"


def test_a_file_that_cannot_be_read_is_no_reason_to_stop(
    source: Path, set_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        save(source / f"{name}.png")
    original = Path.open

    def opened(self: Path, mode: str = "r", *rest: object, **named: object) -> object:
        if self == source / "a.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return original(self, mode, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", opened)
    told = brought(source, into=set_folder)
    assert told.keys == ["unreadable"]
    assert told.made.images == ("b.png",)


def test_stopped_and_gone_on(source: Path, set_folder: Path) -> None:
    for name in "abcd":
        save(source / f"{name}.png", caption=name)
    at_once = story(import_images([source], set_folder, stop=lambda: True)).made
    assert (at_once.outcome, at_once.images) == ("stopped", ())
    answers = iter([*[False] * 4, False, False, True])  # asked while they are gathered, too
    told = story(import_images([source], set_folder, stop=lambda: next(answers)))
    assert (told.made.outcome, told.made.images) == ("stopped", ("a.png", "b.png"))
    again = brought(source, into=set_folder)
    assert (again.made.images, again.made.known) == (("c.png", "d.png"), 2)
    answers = iter([False, True])
    assert story(use_in_place(set_folder, stop=lambda: next(answers))).made.images == ("a.png",)


def test_in_place_names_what_will_not_be_seen(source: Path) -> None:
    save(source / "a.png")
    save(source / "3_hat" / "b.png")
    save(source / "other" / "c.png")
    save(source / "3_hat" / "4_deep" / "d.png")
    before = content(source)
    told = story(use_in_place(source))
    assert told.made.images == ("a.png", "3_hat/b.png")
    assert told.keys == ["unseen", "unseen"]
    assert content(source) == before
    seen = scan(DataSettings(images=str(source)), CaptionSettings())
    assert tuple(item.path.relative_to(source).as_posix() for item in seen) == told.made.images


def test_many_images_of_one_name(source: Path, set_folder: Path) -> None:
    """The work for an image does not grow with the number of images that have its name."""
    small = picture(8, 8)
    for number in range(1000):
        folder = source / f"{number:04}"
        folder.mkdir()
        small.putpixel((0, 0), (number % 256, number // 256, 0))
        small.save(folder / "image.bmp")
    begun = time.perf_counter()
    told = brought(source, into=set_folder)
    first = time.perf_counter() - begun
    again = brought(source, into=set_folder)
    assert len(told.made.images) == len(set(told.made.images)) == again.made.known == 1000
    assert first < 30
