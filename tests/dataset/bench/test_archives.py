"""Archives give their images and nothing else: no path outside, no link, no bomb."""

from __future__ import annotations

import stat
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from lora_trainer.dataset.bench.archives import Limits
from lora_trainer.dataset.bench.importing import import_images
from lora_trainer.dataset.repeats import read_repeats

from ..files import cut, picture
from .told import Story, story


def png(width: int = 40) -> bytes:
    buffer = BytesIO()
    picture(width).save(buffer, "PNG")
    return buffer.getvalue()


def packed(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def brought(archive: Path, limits: Limits | None = None) -> Story:
    told = story(import_images([archive], archive.parent / "set", limits=limits))
    outside = {path.name for path in archive.parent.iterdir()}
    assert outside == {archive.name, "set"}, "something was written beside the set"
    return told


def test_images_with_captions_and_folders(tmp_path: Path) -> None:
    entries = {
        "all/a.png": png(), "all/a.txt": b"hat", "all/5_coat/b.png": png(41), "all/5_coat/b.caption": b"coat",
        "all/repeats.txt": b"a.png: 4", "__MACOSX/all/._a.png": b"rubbish", "all/.DS_Store": b"x", "all/read.me": b"x",
    }  # fmt: skip
    told = brought(packed(tmp_path / "a.zip", entries))
    assert told.keys == ["others"]
    assert told.made.images == ("a.png", "5_coat/b.png")
    assert (tmp_path / "set" / "a.txt").read_bytes() == b"hat"
    assert (tmp_path / "set" / "5_coat" / "b.caption").read_bytes() == b"coat"
    assert (tmp_path / "set" / "a.png").read_bytes() == png()
    assert read_repeats(tmp_path / "set", [tmp_path / "set" / "a.png"]) == {"a.png": 4}


def test_an_archive_named_like_kohyas_folder(tmp_path: Path) -> None:
    assert brought(packed(tmp_path / "10_hat.zip", {"a.png": png()})).made.images == ("10_hat/a.png",)


OUTSIDE = [
    "../evil.png",
    "a/../../evil.png",
    "/evil.png",
    "..\\evil.png",
    "C:\\evil.png",
    "\\\\server\\evil.png",
    "c:evil.png",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_path_leads_outside(tmp_path: Path, name: str) -> None:
    told = brought(packed(tmp_path / "a.zip", {"good.png": png(), name: png(41)}))
    assert told.keys == ["zip_outside"]
    assert told.made.images == ("good.png",)


def test_links_are_not_followed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.png", png())
    told = brought(tmp_path / "a.zip")
    assert told.keys == ["zip_link"]
    assert told.made.images == ("good.png",)


def test_a_bomb_is_not_opened(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.png": png(), "b.bmp": bytes(20 << 20)})
    assert brought(archive, Limits(harmless=1 << 20)).keys == ["zip_bomb"]
    assert brought(archive, Limits(total=1 << 20)).keys == ["zip_bomb"]
    assert brought(archive, Limits(entries=1)).keys == ["zip_entries"]
    assert brought(archive).made.images == ("a.png",)


def test_a_bomb_within_an_image(tmp_path: Path) -> None:
    """An entry that says it is small unpacks to no more than it says."""
    path = packed(tmp_path / "a.zip", {"a.png": png(), "b.bmp": bytes(1 << 20)})
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")  # b.bmp's entry in the directory
    content[at + 24 : at + 28] = (100).to_bytes(4, "little")
    path.write_bytes(content)
    told = brought(path)
    assert told.keys == ["unreadable"]
    assert told.made.images == ("a.png",)


def test_an_encrypted_archive(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.png": png()})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    content[content.index(b"PK\x03\x04") + 6] |= 1
    path.write_bytes(content)
    assert brought(path).keys == ["zip_encrypted"]


def not_one(path: Path) -> None:
    path.write_bytes(b"Rar!\x1a\x07\x00")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def broken_off(path: Path) -> None:
    cut(packed(path, {"a.png": png()}))


@pytest.mark.parametrize("make", [not_one, empty, broken_off])
def test_what_is_no_archive(tmp_path: Path, make: object) -> None:
    make(tmp_path / "a.zip")  # type: ignore[operator]
    told = brought(tmp_path / "a.zip")
    assert told.keys == ["zip_unreadable"]
    assert told.made.outcome == "finished"


def test_a_damaged_entry(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.png": png(), "b.png": png(41)})
    content = bytearray(path.read_bytes())
    content[200] ^= 255
    path.write_bytes(content)
    told = brought(path)
    assert told.keys == ["unreadable"]
    assert told.made.images == ("b.png",)


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ("图片".encode("gb18030"), "图片"),
        ("图片".encode(), "图片"),
        ("café".encode(), "café"),
        ("雪❄️".encode(), "雪❄️"),
        ("fête".encode("cp437"), "fête"),
        (b"plain", "plain"),
    ],
)
def test_names_in_old_encodings(tmp_path: Path, raw: bytes, meant: str) -> None:
    placeholder = "x" * len(raw)
    path = packed(tmp_path / "a.zip", {f"{placeholder}.png": png(), f"{placeholder}.txt": b"hat"})
    path.write_bytes(path.read_bytes().replace(placeholder.encode() + b".", raw + b"."))
    assert brought(path).made.images == (f"{meant}.png",)
    assert (tmp_path / "set" / f"{meant}.txt").read_bytes() == b"hat"


def test_hostile_names_inside(tmp_path: Path) -> None:
    names = ["<script>alert(1)<", "a\nb", "quote\"'s", "dev|ice"]
    told = brought(packed(tmp_path / "a.zip", {f"{name}.png": png(40 + i) for i, name in enumerate(names)}))
    assert told.keys == ["renamed"] * 4
    assert told.made.images == ("_script_alert(1)_.png", "a_b.png", "quote_'s.png", "dev_ice.png")
