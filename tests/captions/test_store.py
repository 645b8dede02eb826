"""The captions of a folder: reading, previews, edits, and what other programs do meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lora_trainer.captions import writing
from lora_trainer.captions.caption import Kept
from lora_trainer.captions.operations import Add, Deduplicate, Remove, Replace, ReplacePattern, SetCaptions, Sort
from lora_trainer.captions.selection import UNTAGGED, Everything, Filtered, Listed
from lora_trainer.captions.store import CaptionStore
from lora_trainer.captions.writing import only_one
from lora_trainer.errors import BadDataset, BadSettings, Busy
from lora_trainer.language import LANGUAGES
from lora_trainer.settings import CaptionSettings

from .folders import fill, snapshot

ALL = Everything()


def test_both_layouts_are_read(tmp_path: Path) -> None:
    store = fill(
        tmp_path, {"a": "x, y", "b": None, "20_sks girl/1": "帽子，x\n", "20_sks girl/2": None, "2_s/.h": "no"}
    )
    assert [(one.file.name, one.tags, one.words) for one in store.captions] == [
        ("a.txt", ("x", "y"), ()),
        ("b.txt", (), ()),
        ("1.txt", ("帽子", "x"), ("sks girl",)),
        ("2.txt", (), ("sks girl",)),
    ]
    assert store.unread == []


def test_the_settings_name_the_files_and_the_words(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    (tmp_path / "a.caption").write_text("x")
    with pytest.raises(BadDataset, match="caption_extension"):
        CaptionStore(tmp_path)
    store = CaptionStore(tmp_path, CaptionSettings(caption_extension="caption", class_tokens="girl"))
    assert [(one.tags, one.words) for one in store.captions] == [(("x",), ("girl",)), ((), ("girl",))]
    store.apply(Add("new"), ALL)
    assert (tmp_path / "b.caption").read_text() == "new, girl\n"


def test_what_cannot_be_read_is_found_and_left_alone(tmp_path: Path) -> None:
    bad = {
        "latin": "ärger".encode("latin-1"),
        "utf16": "hat".encode("utf-16"),
        "mute": "hat".encode("utf-16-le"),
        "huge": b"hat, " * 400_000,
        "binary": bytes(range(256)),
    }
    store = fill(tmp_path, {**bad, "good": "hat", "folder": None, "loop": None, "gone": None})
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    store.refresh()
    before = snapshot(tmp_path)
    assert [one.file.stem for one in store.captions] == ["good"]
    assert {one.file.stem for one in store.unread} == {*bad, "folder", "loop", "gone"}
    for one in store.unread:
        assert all(one.file.name in one.error.text(language) for language in LANGUAGES)
        assert one.images == (one.file.with_suffix(".png"),)

    assert store.apply(SetCaptions({one.images[0]: "x" for one in store.unread}), ALL).images == 0
    assert store.apply(Add("x"), ALL).images == 1
    assert snapshot(tmp_path) == {**before, "good.txt": b"x, hat"}


def test_strange_names(tmp_path: Path) -> None:
    names = ["a'b\"c", "line\nbreak", "<script>alert(1)</script>".replace("/", "∕"), "😀", "x" * 251, "{0} {x!r}"]
    store = fill(tmp_path, dict.fromkeys(names, "hat"))
    before = snapshot(tmp_path)
    assert store.apply(Replace("hat", "cap"), ALL).images == len(names)
    assert {text for name, text in snapshot(tmp_path).items() if name.endswith(".txt")} == {b"cap"}
    for name in names:
        (tmp_path / f"{name}.txt").write_bytes(b"mine")
    refused = store.apply(Remove(("cap",)), ALL).refused
    assert {one.file.stem for one in refused} == set(names)
    assert all(one.file.name in one.error.text(language) for one in refused for language in LANGUAGES)
    for name in names:
        (tmp_path / f"{name}.txt").write_bytes(b"cap")
    outcome = store.undo()
    assert outcome is not None and outcome.images == len(names)
    assert snapshot(tmp_path) == before


def test_a_name_that_is_not_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    try:
        store = fill(tmp_path, {name: "hat"})
    except OSError:
        pytest.skip("this file system has no such names")
    store.apply(Add("x"), ALL)
    assert CaptionStore(tmp_path).undo() is not None
    assert (tmp_path / f"{name}.txt").read_bytes() == b"hat"


def test_preview_tells_what_apply_does(tmp_path: Path) -> None:
    captions = {f"{number:02d}": ("hat, x" if number % 3 else "x, x") for number in range(30)}
    store = fill(tmp_path, {**captions, "30": None, "40_girl/1": None})
    before = snapshot(tmp_path)
    operations = [
        Add("new"),
        Remove(("hat",)),
        Replace("x", "hat"),
        Deduplicate(),
        Sort(),
        SetCaptions({tmp_path / "00.png": "z"}),
    ]
    for operation in operations:
        for selection in (ALL, UNTAGGED, Filtered("hat"), Listed((tmp_path / "00.png", tmp_path / "none.png"))):
            shown = store.preview(operation, selection)
            assert snapshot(tmp_path) == before
            assert shown.images <= shown.selected
            assert len(shown.samples) == min(5, shown.images)
            assert store.apply(operation, selection).images == shown.images
            for sample in shown.samples:
                assert sample.image.with_suffix(".txt").read_text().strip() == sample.after
            if shown.images:
                assert store.undo() is not None
            assert snapshot(tmp_path) == before


def test_selections(tmp_path: Path) -> None:
    store = fill(tmp_path, {"a": "hat", "b": "HAT, x", "c": None, "d": ""})
    images = {name: (tmp_path / f"{name}.png",) for name in "abcd"}

    def chosen(selection: Everything | Filtered | Listed) -> list[tuple[Path, ...]]:
        return [one.images for one in store.selected(selection)]

    assert chosen(ALL) == [images[name] for name in "abcd"]
    assert chosen(Filtered("hat and not x")) == [images["a"]]
    assert chosen(UNTAGGED) == [images["c"], images["d"]]
    assert chosen(Listed((*images["d"], *images["b"]))) == [images["b"], images["d"]]
    with pytest.raises(BadSettings):
        store.preview(Add("x"), Filtered("("))


def test_an_image_without_file_gets_one_only_with_tags_and_keeps_its_folders_words(tmp_path: Path) -> None:
    store = fill(tmp_path, {"20_sks girl/1": None, "20_sks girl/2": "hat", "3": None})
    for operation in (Remove(("sks girl",)), Replace("sks girl", "x"), Sort(), Deduplicate()):
        assert store.preview(operation, ALL).images == 0
    assert store.apply(Add("new"), ALL).images == 3
    texts = [(tmp_path / name).read_text() for name in ("20_sks girl/1.txt", "20_sks girl/2.txt", "3.txt")]
    assert texts == ["new, sks girl\n", "new, hat", "new\n"]


def test_images_that_share_a_caption_count_each(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    store = fill(tmp_path, {"a": "hat", "b": "x"})
    assert len(store.captions) == 2
    assert store.preview(Remove(("hat",)), ALL).images == 2
    assert store.apply(Remove(("hat",)), Listed((tmp_path / "a.jpg",))).images == 2


def test_only_changed_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = fill(tmp_path, {"a": "hat\r\n", "b": "x ,y\n\n", "c": None})
    put: list[str] = []
    real = writing.put
    monkeypatch.setattr(writing, "put", lambda file, new: (put.append(file.name), real(file, new)))
    store.apply(Replace("hat", "cap"), ALL)
    store.apply(Sort(), ALL)
    store.apply(Remove(("nothing",)), ALL)
    assert put == ["a.txt"]
    assert len(store.done) == 1
    assert snapshot(tmp_path)["b.txt"] == b"x ,y\n\n"
    assert (tmp_path / "a.txt").read_bytes() == b"cap\r\n"


def test_files_keep_their_permissions_and_links(tmp_path: Path) -> None:
    store = fill(tmp_path / "set", {"a": "hat", "b": None})
    (tmp_path / "set/a.txt").chmod(0o600)
    (tmp_path / "elsewhere.txt").write_text("hat")
    (tmp_path / "set/b.txt").symlink_to(tmp_path / "elsewhere.txt")
    store.refresh()
    store.apply(Add("x"), ALL)
    assert (tmp_path / "set/a.txt").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "set/b.txt").is_symlink()
    assert (tmp_path / "elsewhere.txt").read_text() == "x, hat"


def test_another_programs_change_is_not_overwritten(tmp_path: Path) -> None:
    store = fill(tmp_path, {"a": "hat", "b": "hat", "c": "hat", "d": None})
    (tmp_path / "a.txt").write_text("hat, mine")
    (tmp_path / "b.txt").unlink()
    (tmp_path / "d.txt").write_text("mine")
    outcome = store.apply(Add("x"), ALL)
    assert outcome.images == 1
    assert {one.file.name for one in outcome.refused} == {"a.txt", "b.txt", "d.txt"}
    assert {one.error.key for one in outcome.refused} == {"caption_changed"}
    assert (tmp_path / "a.txt").read_text() == "hat, mine"
    again = store.apply(Add("x"), ALL)  # they have been read anew
    assert (again.images, again.refused) == (3, ())
    assert (tmp_path / "a.txt").read_text() == "x, hat, mine"
    while store.undo():
        pass
    assert snapshot(tmp_path).keys() & {"a.txt", "b.txt", "c.txt", "d.txt"} == {"a.txt", "c.txt", "d.txt"}
    assert (tmp_path / "a.txt").read_text() == "hat, mine"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    store = fill(tmp_path, {"a": "hat"})
    (tmp_path / ".lora_trainer").write_text("a file where the journal's folder would be")
    with pytest.raises(BadDataset) as caught:
        store.apply(Add("x"), ALL)
    assert caught.value.key == "captions_unwritable"
    assert (tmp_path / "a.txt").read_text() == "hat"


def test_two_programs_do_not_edit_at_once(tmp_path: Path) -> None:
    store, other = fill(tmp_path, {"a": "hat"}), CaptionStore(tmp_path)
    store.apply(Add("x"), ALL)
    with only_one(tmp_path / ".lora_trainer" / "captions.lock"), pytest.raises(Busy):
        store.apply(Add("y"), ALL)
    assert other.apply(Add("y"), ALL).refused  # it has not seen x
    assert other.apply(Add("y"), ALL).images == 1
    assert store.undo() is None or (tmp_path / "a.txt").read_text() == "x, hat"
    store.refresh()
    assert store.captions[0].tags == ("x", "hat")
    assert store.undo() is not None
    assert (tmp_path / "a.txt").read_text() == "hat"


def test_a_trigger_is_protected_where_it_is_asked_for(tmp_path: Path) -> None:
    store = fill(tmp_path, {"a": "sks, hat", "b": "hat, sks"})
    assert store.preview(Remove(("sks",)), ALL, Kept("sks")).images == 0
    store.apply(Add("new"), ALL, Kept("sks"))
    assert [one.text for one in store.captions] == ["sks, new, hat", "new, hat, sks"]


def test_the_separator_of_fixed_tags_is_known(tmp_path: Path) -> None:
    fill(tmp_path, {"a": "sks, b ||| d, c"})
    store = CaptionStore(tmp_path, CaptionSettings(keep_tokens_separator="|||"))
    store.apply(Sort(), ALL)
    assert (tmp_path / "a.txt").read_text() == "b, sks, |||, c, d"


def test_a_bad_expression_changes_nothing(tmp_path: Path) -> None:
    store = fill(tmp_path, {"a": "hat"})
    before = snapshot(tmp_path)
    with pytest.raises(BadSettings):
        store.apply(ReplacePattern("(", "x"), ALL)
    assert snapshot(tmp_path) == before
    assert not (tmp_path / ".lora_trainer").exists()
