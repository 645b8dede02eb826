"""Uploads: any name is made safe or refused with a sentence, and what is too much is refused early."""

from __future__ import annotations

import io
import os
import struct
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from lora_trainer.errors import BadDataset, BadSettings, Unknown, UserError
from lora_trainer.language import LANGUAGES
from lora_trainer.project.importing import importing
from lora_trainer.project.project import Project
from lora_trainer.project.uploads import UploadLimits, Uploads, kept_name
from tests.dataset.files import picture, save
from tests.project.sets import at_once, files_of, new_project

BATCH = "0123abcd"
ODD = (
    "quotes \" and '.png",
    "line\nend.png",
    "bell\a and \u202egnp.exe.png",
    "🐱 猫 кот.png",
    "<script>alert(1)</script>.png",
    "a" * 300 + ".png",
    "猫" * 300 + ".png",
    "CON.png",
    "aux.backup.png",
    "trailing. .png",
    "C:\\Users\\me\\pictures\\a.png",
    "/etc/passwd.png",
    "%2e%2e%2fx.png",
    "\ud800.png",
    "repeats.png",
    "NUL",
)


def send(project: Project, name: str, content: bytes) -> None:
    upload = project.uploads.begin(BATCH, name)
    try:
        upload.write(content[: len(content) // 2])
        upload.write(content[len(content) // 2 :])
        project.uploads.finish(BATCH, upload)
    finally:
        upload.drop()


def png(width: int = 20, height: int = 20) -> bytes:
    buffer = io.BytesIO()
    picture(width, height).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_made_safe(tmp_path: Path, name: str) -> None:
    project = new_project(tmp_path)
    try:
        send(project, name, png())
    except BadSettings as error:
        assert error.key == "upload_kind" and name == "NUL"
        return
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and project.folder not in path.parents]
    assert outside == []
    result, task = at_once(importing(project, project.uploads.sources(BATCH)))
    assert result == {"images": 1, "known": 0} and not task.notes
    (kept,) = files_of(project)
    assert len(kept.encode()) < 200 and not set(kept) & set('<>:"\\|?*\n\a\u202e') and kept.endswith(".png")
    assert project.images().entries[0].name == kept


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("../a.png", "upload_name"),
        ("a/../../b.png", "upload_name"),
        ("a\\..\\b.png", "upload_name"),
        ("", "upload_name"),
        ("/", "upload_name"),
        ("nul\0.png", "upload_name"),
        ("x" * 2000 + ".png", "upload_name"),
        ("virus.exe", "upload_kind"),
        ("page.html", "upload_kind"),
        (".png", "upload_kind"),
    ],
)
def test_names_that_are_refused(name: str, key: str) -> None:
    with pytest.raises(BadSettings) as caught:
        kept_name(name)
    assert caught.value.key == key
    for language in LANGUAGES:
        assert "\n" not in caught.value.text(language) and len(caught.value.text(language)) < 400


def test_no_two_names_become_one() -> None:
    names = [
        "a:b.png",
        "a?b.png",
        "a_b.png",
        "x/a_b.png",
        "x:/a_b.png",
        "x?/a_b.png",
        "10_x/a_b.png",
        "a*b.zip",
        "a|b.zip",
    ]
    assert len({kept_name(name) for name in names}) == len(names)


def test_captions_stay_with_their_images_and_folders_keep_their_repeats(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    for name in ("a:b", "10_cat/one", "some folder/two"):
        send(project, f"{name}.png", png(20 + len(name), 20))
        send(project, f"{name}.txt", f"caption of {name}".encode())
    at_once(importing(project, project.uploads.sources(BATCH)))
    assert {name: text.decode() for name, text in files_of(project).items() if name.endswith(".txt")} == {
        "a_b.txt": "caption of a:b",
        "10_cat/one.txt": "caption of 10_cat/one",
        "two.txt": "caption of some folder/two",
    }


def test_archives_go_through_their_own_reader(tmp_path: Path) -> None:
    project, buffer = new_project(tmp_path), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("good.png", png())
        archive.writestr("../../evil.png", png(21, 21))
    send(project, "set.zip", buffer.getvalue())
    send(project, "not one.zip", b"PK\x03\x04 nothing")
    result, task = at_once(importing(project, project.uploads.sources(BATCH)))
    assert result["images"] == 1 and sorted(note.key for note in task.notes) == ["zip_outside", "zip_unreadable"]  # type: ignore[attr-defined]
    assert not list(tmp_path.rglob("*evil*"))


def test_limits(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.uploads = Uploads(
        project.folder / "uploads", UploadLimits(files=2, image=5000, caption=10, archive=50, total=6000)
    )
    for name, content, key in (
        ("large.png", bytes(5001), "upload_large"),
        ("large.txt", bytes(11), "upload_large"),
        ("large.zip", bytes(51), "upload_large"),
    ):
        with pytest.raises(BadSettings) as caught:
            send(project, name, content)
        assert caught.value.key == key
    send(project, "a.png", bytes(4000))
    send(project, "a.png", bytes(4500))  # sent again: in the place of the first
    with pytest.raises(BadSettings) as caught:
        send(project, "b.png", bytes(1600))  # more than is left for the batch
    assert caught.value.key == "upload_large"
    send(project, "b.png", bytes(100))
    project.uploads = Uploads(project.uploads.folder, project.uploads.limits)  # also after a restart
    with pytest.raises(BadSettings) as caught:
        send(project, "c.png", b"1")
    assert caught.value.key == "upload_many"
    assert not list(project.folder.rglob("*.part"))


def test_a_picture_that_would_fill_the_memory(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    with pytest.raises(BadDataset) as caught:
        send(project, "bomb.png", b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT")
    assert caught.value.key == "upload_pixels" and not list(project.folder.rglob("bomb*"))


@pytest.mark.parametrize("batch", ["", "../../x", "ABCDEF01", "0123abc", "0" * 33, "0123abcd/"])
def test_batches_are_not_paths(tmp_path: Path, batch: str) -> None:
    with pytest.raises(BadSettings):
        new_project(tmp_path).uploads.begin(batch, "a.png")


def test_a_batch_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unknown):
        new_project(tmp_path).uploads.sources(BATCH)


def test_what_nobody_imports_goes_after_a_day(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    send(project, "a.png", png())
    old = project.uploads.folder / "ffffffffff"
    (old / "files").mkdir(parents=True)
    os.utime(old, (time.time() - 100_000,) * 2)
    other = save(project.uploads.folder / "eeeeeeeeee" / "files" / "b.png")
    at_once(importing(project, project.uploads.sources(BATCH), lambda: project.uploads.clear(BATCH)))
    assert not old.exists() and other.exists() and not (project.uploads.folder / BATCH).exists()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = new_project(tmp_path)

    class Full(io.BytesIO):
        def write(self, content: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda *_: Full())
    with pytest.raises(UserError) as caught:
        send(project, "a.png", png())
    assert caught.value.key == "set_disk_full"
