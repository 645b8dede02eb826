"""Tagging whole folders: what is written, what is left alone, what is told."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from lora_trainer.tagging.batch import AT_ONCE, Plan, caption_file, tag_images
from lora_trainer.tagging.events import Noticed, PassedOver, Tagged
from lora_trainer.tagging.tagger import Reading
from lora_trainer.tagging.wording import Mode
from tests.dataset.files import save, says


class Colours:
    """A tagger that knows how wide an image is, and remembers how many it was shown at once."""

    name, writes_sentences, notice = "colours", False, None

    def __init__(self) -> None:
        self.shown: list[int] = []

    def tag(self, images: Sequence[Image.Image]) -> list[Reading]:
        self.shown.append(len(images))
        return [Reading({f"width_{image.width}": 0.9, "hat": 0.8, "unlikely": 0.1}) for image in images]


def folder(path: Path, count: int = 3) -> list[Path]:
    return [save(path / f"{number}.png", 40 + number, 30) for number in range(count)]


def caption_of(image: Path) -> str:
    return caption_file(image).read_text(encoding="utf-8")


def test_missing_captions_are_written(tmp_path: Path) -> None:
    images = folder(tmp_path)
    caption_file(images[1]).write_text("mine", encoding="utf-8")
    caption_file(images[2]).write_text("  \n", encoding="utf-8")
    tagger = Colours()
    events = list(tag_images(images, tagger, Plan()))
    assert caption_of(images[0]) == "width 40, hat\n"
    assert caption_of(images[1]) == "mine"
    assert caption_of(images[2]).strip() == "width 42, hat"
    assert tagger.shown == [2]  # the one with a caption is not looked at
    assert [type(event) for event in events] == [PassedOver, Tagged, Tagged]
    assert isinstance(events[0], PassedOver) and events[0].why is None
    assert isinstance(events[2], Tagged) and (events[2].done, events[2].total) == (3, 3)


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        (Mode.Overwrite, "width 40, hat\r\n"),
        (Mode.Append, "Hat, mine, width 40\r\n"),
        (Mode.Prepend, "width 40, Hat, mine\r\n"),
    ],
)
def test_modes_keep_the_files_line_end(tmp_path: Path, mode: Mode, wanted: str) -> None:
    image = folder(tmp_path, 1)[0]
    caption_file(image).write_bytes(b"Hat, mine\r\n")
    list(tag_images([image], Colours(), Plan(mode=mode)))
    assert caption_file(image).read_bytes() == wanted.encode()


def test_what_does_not_change_is_not_written(tmp_path: Path) -> None:
    image = folder(tmp_path, 1)[0]
    caption_file(image).write_bytes(b"hat,width 40")
    events = list(tag_images([image], Colours(), Plan(mode=Mode.Append)))
    assert caption_file(image).read_bytes() == b"hat,width 40"
    assert isinstance(events[0], Tagged) and not events[0].written


def test_a_dry_run_tells_and_writes_nothing(tmp_path: Path) -> None:
    images = folder(tmp_path)
    events = list(tag_images(images, Colours(), Plan(dry=True)))
    assert next(event.tags for event in events if isinstance(event, Tagged)) == ("width 40", "hat")
    assert not list(tmp_path.glob("*.txt"))


def test_nothing_found_leaves_the_old_caption(tmp_path: Path) -> None:
    class Blind(Colours):
        def tag(self, images: Sequence[Image.Image]) -> list[Reading]:
            return [Reading() for _ in images]

    image = folder(tmp_path, 1)[0]
    caption_file(image).write_text("mine", encoding="utf-8")
    list(tag_images([image], Blind(), Plan(mode=Mode.Overwrite)))
    assert caption_of(image) == "mine"


def test_the_writer_can_be_replaced(tmp_path: Path) -> None:
    images, log = folder(tmp_path), []
    list(tag_images(images, Colours(), Plan(), write=lambda path, tags: log.append((path, list(tags)))))
    assert log[0] == (tmp_path / "0.txt", ["width 40", "hat"])
    assert not list(tmp_path.glob("*.txt"))


def test_bad_files_are_passed_over_and_the_others_go_on(tmp_path: Path) -> None:
    images = folder(tmp_path, 4)
    images[0].write_bytes(b"")
    caption_file(images[1]).write_bytes("描述".encode("utf-16"))
    events = list(tag_images(images, Colours(), Plan(mode=Mode.Append)))
    passed = [event for event in events if isinstance(event, PassedOver)]
    assert [event.image.name for event in passed] == ["0.png", "1.png"]
    assert says(passed[0].why, "0.png") and says(passed[1].why, "1.txt")  # type: ignore[arg-type]
    assert caption_file(images[1]).read_bytes() == "描述".encode("utf-16")
    assert caption_of(images[3]) == "width 43, hat\n"


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="permissions are others there")
def test_a_caption_that_cannot_be_written_stays(tmp_path: Path) -> None:
    def refuse(path: Path, tags: Sequence[str]) -> None:
        raise PermissionError(13, "Permission denied")

    image = folder(tmp_path, 1)[0]
    event = next(tag_images([image], Colours(), Plan(), write=refuse))
    assert isinstance(event, PassedOver) and says(event.why, "0.txt", "Permission denied")  # type: ignore[arg-type]


def test_names_of_every_kind(tmp_path: Path) -> None:
    names = ["a'b\"c.png", "😀 <script>.png", "new\nline.png", "é.png"] if os.name != "nt" else ["é.png"]
    images = [save(tmp_path / name, 20, 20) for name in names]
    events = list(tag_images(images, Colours(), Plan()))
    assert all(isinstance(event, Tagged) and event.written for event in events)
    assert len(list(tmp_path.glob("*.txt"))) == len(names)


def test_a_notice_is_told_once(tmp_path: Path) -> None:
    tagger = Colours()
    tagger.notice = Noticed(key="cuda_no_card")  # type: ignore[assignment]
    events = list(tag_images(folder(tmp_path, AT_ONCE + 2), tagger, Plan()))
    assert len([event for event in events if isinstance(event, Noticed)]) == 1
    assert tagger.shown == [AT_ONCE, 2]


def test_stopping_keeps_what_is_written(tmp_path: Path) -> None:
    images = folder(tmp_path, AT_ONCE * 2)
    events = tag_images(images, Colours(), Plan())
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.glob("*.txt"))) == 1


def test_a_sentence_is_written_as_it_is(tmp_path: Path) -> None:
    class Sentences(Colours):
        writes_sentences = True

        def tag(self, images: Sequence[Image.Image]) -> list[Reading]:
            return [Reading({"a red_hat, on a table (in the sun)": 1.0}) for _ in images]

    image = folder(tmp_path, 1)[0]
    list(tag_images([image], Sentences(), Plan()))
    assert caption_of(image) == "a red_hat, on a table (in the sun)\n"
