"""Sets of pictures for the doctor: sound ones, all different, and one with a fault of every kind."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lora_trainer.dataset.checks import Brief, Finding, check, survey
from lora_trainer.settings import CaptionSettings, DataSettings
from tests.dataset.files import bomb, cut

SIDE = 256  # pixels: the resolution of the tests


def scene(seed: int, width: int = 320, height: int = 320) -> Image.Image:
    """A picture like no other: coloured shapes with sharp edges on a ground that changes smoothly."""
    chance, numbers = random.Random(seed), np.random.default_rng(seed)
    ground = Image.fromarray(numbers.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    picture = ground.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(40):
        x, y, wide = chance.randrange(width), chance.randrange(height), chance.randrange(10, width // 3)
        colour = tuple(chance.randrange(256) for _ in range(3))
        shape = draw.ellipse if chance.random() < 0.5 else draw.rectangle
        shape((x, y, x + wide, y + chance.randrange(10, height // 3)), fill=colour)
    return picture


def sound(folder: Path, count: int, first: int = 0, caption: str = "myword, a thing") -> list[Path]:
    """``count`` pictures without fault, with captions."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"sound{number:03}.png" for number in range(first, first + count)]
    for number, path in enumerate(paths, start=first):
        add(scene(number), path, caption)
    return paths


def add(picture: Image.Image, path: Path, caption: str | bytes | None = "myword, a thing") -> Path:
    """A picture file with a caption beside it, unless that is None."""
    picture.save(path)
    if caption is not None:
        path.with_suffix(".txt").write_bytes(caption if isinstance(caption, bytes) else caption.encode("utf-8"))
    return path


def faulty(folder: Path) -> dict[str, set[str]]:
    """A set with one of each fault; returns the names of the files that each finding is to name."""
    folder = folder / "set"
    sound(folder, 12)
    add(scene(100), folder / "empty.png").write_bytes(b"")
    cut(add(scene(101), folder / "cut.png"))
    (folder / "text.png").write_text("no picture", encoding="utf-8")
    bomb(folder / "bomb.png", 30_000)
    (folder / "nowhere.png").symlink_to(folder / "gone.png")
    (folder / "itself.png").symlink_to(folder / "itself.png")
    (folder / "10_loop").symlink_to(folder)
    sound(folder / "more pictures", 1, first=102)
    _copies(folder)
    _pictures(folder)
    _captions(folder)
    sound(folder / "900_much", 2, first=120)
    return {
        "empty_file": {"empty.png"},
        "unreadable": {"cut.png", "text.png"},
        "too_large": {"bomb.png"},
        "broken_link": {"nowhere.png", "itself.png"},
        "folder_loop": {"10_loop"},
        "folder_ignored": {"more pictures"},
        "duplicates": {"sound000.png", "twice.png"},
        "near_duplicates": {"sound001.png", "again.jpg"},
        "crop": {"whole.png", "part.png"},
        "blurred": {"soft.png"},
        "too_small": {"small.png"},
        "extreme_aspect": {"long.png"},
        "transparent": {"clear.png"},
        "lone_bucket": {"wide.png"},
        "caption_missing": {"missing.png"},
        "caption_empty": {"nothing.png"},
        "caption_encoding": {"foreign.png"},
        "caption_long": {"longwinded.png"},
        "caption_huge": {"megabytes.png"},
        "trigger_missing": {"without.png"},
        "trigger_variant": {"variant.png"},
        "contradiction": {"both.png"},
        "not_monochrome": {"grey.png"},
        "marks": {"marked.png"},
        "too_few": set(),
        "imbalance": {"set", "900_much"},
    }


def _copies(folder: Path) -> None:
    (folder / "twice.png").write_bytes((folder / "sound000.png").read_bytes())
    (folder / "twice.txt").write_text("myword, a thing", encoding="utf-8")
    smaller, content = scene(1).resize((288, 288), Image.Resampling.LANCZOS), io.BytesIO()
    smaller.save(content, "JPEG", quality=70)
    (folder / "again.jpg").write_bytes(content.getvalue())
    (folder / "again.txt").write_text("myword, a thing", encoding="utf-8")
    whole = scene(103, 800, 800)
    add(whole, folder / "whole.png")
    add(whole.crop((230, 120, 710, 600)), folder / "part.png")


def _pictures(folder: Path) -> None:
    add(scene(104, 640, 640).filter(ImageFilter.GaussianBlur(9)), folder / "soft.png")
    add(scene(105, 120, 120), folder / "small.png")
    add(scene(106, 1400, 300), folder / "long.png")
    add(scene(107, 420, 300), folder / "wide.png")
    opacity = Image.new("L", (320, 320), 255)
    opacity.paste(0, (0, 0, 60, 60))
    clear = scene(108)
    clear.putalpha(opacity)
    add(clear, folder / "clear.png")


def _captions(folder: Path) -> None:
    captions: dict[str, str | bytes | None] = {
        "missing": None,
        "nothing": " \n",
        "foreign": "myword, 一个东西".encode("gb18030"),
        "longwinded": "myword, " + ", ".join(f"thing number {number}" for number in range(30)),
        "megabytes": b"myword, a thing, " * 125_000,
        "without": "a thing",
        "variant": "my_word, a thing",
        "both": "myword, solo, 2girls",
        "grey": "myword, monochrome",
        "marked": "myword, signature",
    }
    for number, (name, caption) in enumerate(captions.items(), start=109):
        add(scene(number), folder / f"{name}.png", caption)


def findings_of(folder: Path, goal: str = "character", **settings: object) -> list[Finding]:
    """What the doctor finds in a folder at 256 pixels, unless the settings say otherwise."""
    data = replace(DataSettings(images=str(folder), resolution=SIDE), **settings)  # type: ignore[arg-type]
    return check(survey(data, CaptionSettings()), Brief(data, CaptionSettings(), goal))


def named(findings: list[Finding]) -> dict[str, set[str]]:
    """The names of the files by the kind of finding."""
    return {finding.key: {path.name for path in finding.images} for finding in findings}
