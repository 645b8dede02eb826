"""Derived images know their parents, inherit captions, come once, and go and come back without a trace."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lora_trainer.dataset.bench import enlarging
from lora_trainer.dataset.bench.derived import (
    batches,
    bring_back,
    derived_in,
    descendants,
    originals_in,
    remove_derived,
    remove_images,
    set_aside,
)
from lora_trainer.dataset.bench.enlarging import Crop, Faces, Mirror, Split, derive
from lora_trainer.dataset.bench.notes import Noted
from lora_trainer.dataset.cache import file_hash
from lora_trainer.dataset.pictures import open_picture
from lora_trainer.dataset.repeats import read_repeats
from lora_trainer.dataset.scan import scan
from lora_trainer.settings import CaptionSettings, DataSettings

from .. import profiles
from ..files import ORIENTATION, picture, save
from .told import story

SQUARE = Crop(sizes=((64, 64),))


@dataclass(frozen=True)
class Stub:
    """Finds what it is told to, in pictures that are wider than ``beyond``."""

    boxes: tuple[tuple[int, int, int, int], ...]
    beyond: int = 0

    def find(self, picture: Image.Image) -> list[tuple[int, int, int, int]]:
        return list(self.boxes) if picture.width > self.beyond else []


def content(folder: Path) -> dict[str, bytes]:
    """Every file that is not the bench's own."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in files.items() if not name.startswith(".")}


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "set"
    return [
        save(folder / "a.png", 200, 100, "hat"),
        save(folder / "b.png", 80, 100),
        save(folder / "10_girl red" / "c.png", 64, 64),
    ]


def test_crops_lie_beside_their_parents(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    before = content(folder)
    told = story(derive(folder, images, SQUARE))
    assert told.notes == []
    assert told.made.images == ("a_crop.png", "b_crop.png"), "c is what the crop would be"
    after = content(folder)
    assert before.items() <= after.items()
    assert after["a_crop.txt"] == b"hat"
    assert open_picture(folder / "a_crop.png").size == (64, 64)
    a, _ = derived_in(folder)
    assert (a.path, a.parent, a.how, a.digest) == ("a_crop.png", "a.png", "crop", file_hash(folder / "a_crop.png"))
    assert a.parent_digest == file_hash(folder / "a.png")
    assert a.box[2] - a.box[0] == a.box[3] - a.box[1] == 100
    assert originals_in(folder) == images


def test_nothing_is_made_twice(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    story(derive(folder, images, SQUARE))
    before = content(folder)
    again = story(derive(folder, images, SQUARE))
    assert (again.made.images, again.made.known) == ((), 2)
    assert content(folder) == before


def test_the_shape_is_that_of_the_nearest_bucket(tmp_path: Path, images: list[Path]) -> None:
    story(derive(tmp_path / "set", images[:1], Crop(sizes=((64, 64), (96, 48), (48, 96)), focus=False)))
    assert open_picture(tmp_path / "set" / "a_crop.png").size == (96, 48)


def test_pixels_are_those_of_the_upright_picture_in_srgb(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = 6
    image = picture(64, 48).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((64, 48)))
    image.save(tmp_path / "a.png", exif=tags, icc_profile=profiles.rgb(1.0))
    story(derive(tmp_path, [tmp_path / "a.png"], Mirror()))
    mirrored, seen = (np.asarray(open_picture(tmp_path / name)) for name in ("a_mirror.png", "a.png"))
    assert np.array_equal(mirrored[:, ::-1], seen)
    with Image.open(tmp_path / "a_mirror.png") as file:
        assert file.mode == "RGBA", "transparency may be a mask"


def test_faces_are_a_subset_with_repeats_of_its_own(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    faces = Faces(detector=Stub(((10, 10, 40, 40), (50, 50, 55, 55)), beyond=64), least=20, repeats=5)
    told = story(derive(folder, images, faces))
    assert told.keys == ["no_face"]
    assert told.notes[0].name == "10_girl red/c.png"
    assert told.made.images == ("5_face/a_face1.png", "5_face/b_face1.png")
    seen = {
        item.path.name: (item.repeats, item.caption)
        for item in scan(DataSettings(images=str(folder)), CaptionSettings())
    }
    assert seen["a_face1.png"] == (5, "hat")
    assert seen["b_face1.png"] == (5, "face")
    small = story(derive(folder, images[:1], Faces(detector=Stub(((10, 10, 40, 40),)), least=96)))
    assert small.keys == ["face_small"]


def test_the_words_of_a_folder_go_along(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    story(derive(folder, images[2:], Faces(detector=Stub(((10, 10, 40, 40),)), least=20)))
    assert (folder / "3_face" / "c_face1.txt").read_text() == "girl red"


def test_long_pictures_are_split(tmp_path: Path, images: list[Path]) -> None:
    told = story(derive(tmp_path / "set", images, Split()))
    assert told.made.images == ("a_part1.png", "a_part2.png", "a_part3.png")
    assert {open_picture(tmp_path / "set" / name).size for name in told.made.images} == {(100, 100)}


def test_removing_what_was_derived_leaves_no_trace(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    before = content(folder)
    for recipe in (SQUARE, Mirror(), Split(), Faces(detector=Stub(((10, 10, 40, 40),)), least=20)):
        story(derive(folder, originals_in(folder), recipe))
    made = content(folder)
    *notes, batch = remove_derived(folder, derived_in(folder))
    assert notes == []
    assert content(folder) == before
    assert derived_in(folder) == []
    assert bring_back(folder, str(batch)) == []
    assert content(folder) == made
    assert batches(folder) == []


def test_what_was_edited_since_is_kept(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    story(derive(folder, images, SQUARE))
    save(folder / "a_crop.png", 30, 30)
    note, _ = remove_derived(folder, derived_in(folder))
    assert isinstance(note, Noted) and note.key == "changed"
    assert (folder / "a_crop.png").is_file()
    assert not (folder / "b_crop.png").exists()


def test_parents_take_their_descendants_along(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    (folder / "repeats.txt").write_text("b.png: 2\na.png: 4\n", encoding="utf-8")
    story(derive(folder, images, SQUARE))
    story(derive(folder, [folder / "a_crop.png"], Mirror()))
    before = content(folder)
    assert {one.path for one in descendants(folder, images[:1])} == {"a_crop.png", "a_crop_mirror.png"}
    *notes, batch = remove_images(folder, images[:1])
    assert notes == []
    gone = before.keys() - content(folder).keys()
    assert gone == {"a.png", "a.txt", "a_crop.png", "a_crop.txt", "a_crop_mirror.png", "a_crop_mirror.txt"}
    assert read_repeats(folder, [folder / "b.png", folder / "b_crop.png"]) == {"b.png": 2}
    assert bring_back(folder, str(batch)) == []
    assert content(folder) == before


def test_crops_instead_of_their_parents(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    before = content(folder)
    story(derive(folder, images, SQUARE, instead=True))
    names = {item.path.name for item in scan(DataSettings(images=str(folder)), CaptionSettings())}
    assert names == {"a_crop.png", "b_crop.png", "c.png"}
    (batch,) = batches(folder)
    list(remove_derived(folder, derived_in(folder)))
    assert bring_back(folder, batch) == []
    assert content(folder) == before


def test_a_place_that_is_taken_is_not_overwritten(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    batch = set_aside(folder, images[:1])
    save(folder / "a.png", 33, 33)
    new = (folder / "a.png").read_bytes()
    (note,) = bring_back(folder, batch)
    assert note.key == "place_taken"
    assert (folder / "a.png").read_bytes() == new
    assert batches(folder) == [batch]
    (folder / "a.png").unlink()
    assert bring_back(folder, batch) == []


def test_a_caption_that_two_images_share_stays_with_the_other(tmp_path: Path) -> None:
    save(tmp_path / "a.png", caption="hat")
    save(tmp_path / "a.jpg", 50, 50)
    set_aside(tmp_path, [tmp_path / "a.png"])
    assert sorted(content(tmp_path)) == ["a.jpg", "a.txt"]


def test_damage_and_stops(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    images[0].write_bytes(b"")
    told = story(derive(folder, images, SQUARE))
    assert told.keys == ["image_unreadable"]
    assert told.made.images == ("b_crop.png",)
    answers = iter([False, True])
    stopped = story(derive(folder, images, Mirror(), stop=lambda: next(answers)))
    assert stopped.made.outcome == "stopped"


def test_a_full_disk(tmp_path: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "set"
    before = content(folder)
    original = Path.write_bytes

    def write(self: Path, data: bytes) -> int:
        if len(data) > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, data)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", write)
        told = story(derive(folder, images, SQUARE, instead=True))
    assert told.keys == ["disk_full"]
    assert before.items() <= content(folder).items()
    assert derived_in(folder) == [], "what is on record but not there does not count"
    assert story(derive(folder, images, SQUARE)).made.outcome == "finished"


def test_a_record_that_was_tampered_with(tmp_path: Path, images: list[Path]) -> None:
    folder = tmp_path / "set"
    story(derive(folder, images, SQUARE))
    file = folder / enlarging.OURS / "derived.jsonl"
    secret = save(tmp_path / "outside.png")
    told = {"path": "../outside.png", "parent_digest": "", "parent": "", "how": "crop", "box": [0]}
    line = json.dumps({**told, "digest": file_hash(secret)})
    file.write_text(file.read_text() + line + '\nnull\n[1]\n{"digest": ', encoding="utf-8")
    assert [one.path for one in derived_in(folder)] == ["a_crop.png", "b_crop.png"]
    list(remove_derived(folder, derived_in(folder)))
    assert secret.is_file()
