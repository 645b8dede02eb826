"""A folder of images as it is: what the training would refuse is noted instead of raised, and nothing is left out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lora_trainer.dataset.bench.sources import is_file
from lora_trainer.dataset.captions import caption_ending, check_captions
from lora_trainer.dataset.checks.captioning import read
from lora_trainer.dataset.checks.facts import Facts, Measured, Survey
from lora_trainer.dataset.checks.measuring import OnProgress, measure_all
from lora_trainer.dataset.pictures import SUFFIXES
from lora_trainer.dataset.repeats import read_repeats
from lora_trainer.dataset.scan import (
    CAPTION_ENDINGS,
    Source,
    caption_file,
    entries_of,
    folder_of,
    images_among,
    sub_folders,
)
from lora_trainer.errors import BadDataset
from lora_trainer.settings import CaptionSettings, DataSettings

CHUNK = 1 << 20
NOTHING: Mapping[Path, Measured] = {}


def survey(
    data: DataSettings,
    captions: CaptionSettings,
    *,
    known: Mapping[Path, Measured] = NOTHING,
    on_progress: OnProgress | None = None,
) -> Survey:
    """Everything in ``data.images``, in the layout of ``scan.scan``. ``known`` is what an earlier survey measured.

    Raises ``BadDataset`` where the folder itself cannot be read, and ``BadSettings`` for impossible captions.
    """
    check_captions(captions)
    folder = folder_of(data.images)
    if folder is None:
        raise BadDataset("folder_unset", field="images")
    entries = entries_of(folder)
    inner, loops, refusals = _inner(entries)
    sources = [Source(folder, images_among(entries), data.repeats, "", folder.resolve().name or "images"), *inner]
    ending = caption_ending(captions)
    paths = [image for source in sources for image in source.images]
    looks = _with_contents(paths, measure_all(paths, data.resolution, known, on_progress))
    measured = dict(zip(paths, looks, strict=True))
    refusals += _elsewhere(paths, ending)
    found: list[Facts] = []
    for source in sources:
        own = _repeats(source, refusals)
        words = captions.class_tokens or source.words
        for image in source.images:
            caption, repeats = read(caption_file(image, ending)), own.get(image.name, source.repeats)
            found.append(Facts(image, measured[image], caption, repeats, source.group, source.repeats, words))
    broken = [entry for one in sources for entry in _entries(one.folder, refusals) if _is_broken(entry)]
    ignored = [entry for entry in entries if _is_ignored(entry, [*inner, *sources])]
    return Survey(folder, tuple(found), tuple(broken), tuple(loops), tuple(ignored), tuple(refusals))


def _inner(entries: Sequence[Path]) -> tuple[list[Source], list[Path], list[BadDataset]]:
    """The sub-folders that count, those that lead back to one that counts already, and what cannot be read."""
    sources, loops, refusals = [], [], []
    seen = {entries[0].parent.resolve()} if entries else set()
    for entry in entries:
        if entry.is_symlink() and entry.is_dir() and _leads_back(entry):
            loops.append(entry)
            continue
        try:
            found = sub_folders([entry])
        except BadDataset as error:
            refusals.append(error)
            continue
        for source in found:
            where = source.folder.resolve()
            if where in seen:
                loops.append(entry)
            else:
                seen.add(where)
                sources.append(source)
    return sources, loops, refusals


def _leads_back(link: Path) -> bool:
    """Whether a linked folder is one that it lies in."""
    here = link.parent.resolve()
    return link.resolve() in (here, *here.parents)


def _entries(folder: Path, refusals: list[BadDataset]) -> list[Path]:
    try:
        return entries_of(folder)
    except BadDataset as error:  # it was there a moment ago
        refusals.append(error)
        return []


def _is_broken(entry: Path) -> bool:
    """Whether it is called an image but is a link to nothing, or to itself."""
    return entry.suffix.lower() in SUFFIXES and entry.is_symlink() and not entry.exists()


def _is_ignored(entry: Path, sources: Sequence[Source]) -> bool:
    """Whether it is a sub-folder with images that is not called like ``10_name``."""
    if not entry.is_dir() or _leads_back(entry) or any(entry == source.folder for source in sources):
        return False
    try:
        return bool(images_among(entries_of(entry)))
    except BadDataset:
        return False


def _repeats(source: Source, refusals: list[BadDataset]) -> dict[str, int]:
    """The images' own repeats; none where the file that tells them is wrong, which is noted."""
    try:
        return read_repeats(source.folder, source.images)
    except BadDataset as error:
        refusals.append(error)
        return {}


def _elsewhere(images: Sequence[Path], ending: str) -> list[BadDataset]:
    """What ``scan`` refuses: no caption has the ending that is asked for, but some have another program's."""
    for other in (known for known in CAPTION_ENDINGS if known != ending):
        used = [any(is_file(caption_file(image, one)) for image in images) for one in (ending, other)]
        if used == [False, True]:
            return [BadDataset("captions_elsewhere", field="caption_extension", found=other, ending=ending)]
    return []


def _with_contents(paths: Sequence[Path], measured: Sequence[Measured]) -> list[Measured]:
    """The same, with the hash of every file that is as long as another one: only these can be equal."""
    lengths = Counter(one.stamp.length for one in measured)
    return [
        replace(one, content=one.content or _hash(path)) if one.look and lengths[one.stamp.length] > 1 else one
        for path, one in zip(paths, measured, strict=True)
    ]


def _hash(path: Path) -> str:
    """SHA-256 of the file; nothing where it has become unreadable since it was measured."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()
