"""What a folder of images holds: one ``Item`` an image, with its caption, its mask and how often it is seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lora_trainer.dataset.captions import Wording, caption_ending, check_captions, read_caption, worded
from lora_trainer.dataset.masks import check_mask, masks_among
from lora_trainer.dataset.pictures import SUFFIXES, size_of
from lora_trainer.dataset.repeats import folder_repeats, read_repeats
from lora_trainer.errors import BadDataset
from lora_trainer.settings import CaptionSettings, DataSettings

NAMED = 5  # how many of the things found in a folder without images are named
CAPTION_ENDINGS = (".txt", ".caption")  # ours and kohya's


@dataclass(frozen=True, slots=True)
class Item:
    """An image: its upright size, its caption, its repeats in an epoch, its folder's name and repeats.

    ``mask`` is the picture of where it is learnt: a file of its own, the image itself where its transparency counts,
    None for everywhere. ``is_reg`` marks a regularisation image.
    """

    path: Path
    wording: Wording
    width: int
    height: int
    repeats: int
    group: str
    folder_repeats: int
    is_reg: bool = False
    mask: Path | None = None

    @property
    def caption(self) -> str:
        """The whole caption, neither shuffled nor shortened."""
        return self.wording.text


@dataclass(frozen=True, slots=True)
class CaptionPlace:
    """Where the caption of ``image`` is or would be; without one it is learnt with ``words``."""

    image: Path
    file: Path
    words: str


@dataclass(frozen=True, slots=True)
class Source:
    """A folder whose images count: ``words`` are the class that its name tells."""

    folder: Path
    images: list[Path]
    repeats: int
    words: str
    group: str


def scan(data: DataSettings, captions: CaptionSettings) -> list[Item]:
    """The images in the folder ``data.images`` itself, then those in its ``N_name class`` sub-folders, sorted by name.

    An image without a caption file has ``class_tokens`` as its caption, or else its folder's words. Every image and
    mask is decoded, so that a damaged one is found now. Raises ``BadDataset``, and ``BadSettings`` where captions
    cannot be read in the way that is asked for.
    """
    check_captions(captions)
    folder, masks = folder_of(data.images), folder_of(data.mask_dir)
    if folder is None:
        raise BadDataset("folder_unset", field="images")
    _check_apart(folder, masks, "mask_dir")
    sources = _sources(folder, data.repeats)
    named = [replace(source, words=captions.class_tokens or source.words) for source in sources]
    items = _with_opacity(_items(named, data.trigger, captions), data)
    return items if masks is None else _with_masks(items, folder, masks)


def caption_places(folder: Path, captions: CaptionSettings) -> list[CaptionPlace]:
    """Those of the images that ``scan`` finds in ``folder``, in its order; no file is opened. Raises as it does."""
    check_captions(captions)
    sources, ending = _sources(folder, repeats=1), caption_ending(captions)
    _check_ending([image for source in sources for image in source.images], ending)
    return [
        CaptionPlace(image, caption_file(image, ending), captions.class_tokens or source.words)
        for source in sources
        for image in source.images
    ]


def scan_regularisation(data: DataSettings, captions: CaptionSettings) -> list[Item]:
    """The images in ``data.reg_data_dir``, in the same layout; none where it is not set.

    They have no trigger: without a caption file their caption is their folder's words, or else ``class_tokens``.
    Raises as ``scan`` does.
    """
    check_captions(captions)
    folder = folder_of(data.reg_data_dir)
    if folder is None:
        return []
    _check_apart(folder_of(data.images), folder, "reg_data_dir")
    with _blaming("reg_data_dir"):
        sources = _sources(folder, repeats=1)
        named = [replace(source, words=source.words or captions.class_tokens) for source in sources]
        items = _items(named, "", captions)
    return _with_opacity([replace(item, is_reg=True) for item in items], data)


def equalised(items: Sequence[Item], count: int) -> list[Item]:
    """Regularisation images with repeats that sum up to ``count``, the training images' own sum, by kohya's rule.

    They are taken in order until that many are seen in an epoch; what is left over is never shown. Where they are too
    few, each in turn is seen once more until it is enough.
    """
    taken: list[Item] = []
    seen = 0
    for item in items:
        if seen >= count:
            break
        taken.append(item)
        seen += item.repeats
    if not taken:
        return []
    rounds, rest = divmod(max(0, count - seen), len(taken))
    return [replace(item, repeats=item.repeats + rounds + (turn < rest)) for turn, item in enumerate(taken)]


def folder_of(setting: str) -> Path | None:
    """The folder that a setting names; None where it is empty."""
    name = setting.strip().strip('"')  # Windows copies paths with quotes
    return Path(name).absolute() if name else None


def _check_apart(images: Path | None, other: Path | None, field: str) -> None:
    """Raises ``BadDataset`` where the folder of ``field`` is that of the images."""
    if images and other and images.resolve() == other.resolve():
        raise BadDataset("folder_twice", field=field, folder=other, name=field)


@contextmanager
def _blaming(field: str) -> Iterator[None]:
    """What is wrong in another folder than the images' is the fault of the setting that names it."""
    try:
        yield
    except BadDataset as error:
        raise BadDataset(error.key, field=field, **error.values) from error


def entries_of(folder: Path) -> list[Path]:
    """What lies in the folder and is not hidden, in an order that no locale or file system changes."""
    try:
        found = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise BadDataset("folder_missing", field="images", folder=folder) from error
    except NotADirectoryError as error:
        raise BadDataset("folder_is_file", field="images", folder=folder) from error
    except (OSError, ValueError) as error:  # no permission, a drive that is gone, characters no path can have
        raise BadDataset("folder_unreadable", field="images", folder=folder, reason=error) from error
    return sorted(found, key=lambda entry: (entry.name.casefold(), entry.name))


def _sources(folder: Path, repeats: int) -> list[Source]:
    """The folder itself and its sub-folders that count; at least one holds an image."""
    entries = entries_of(folder)
    if not entries:
        raise BadDataset("folder_empty", field="images", folder=folder)
    flat = Source(folder, images_among(entries), repeats, "", folder.resolve().name or "images")
    sources = [flat, *sub_folders(entries)]
    if not any(source.images for source in sources):
        found = ", ".join(entry.name for entry in entries[:NAMED]) + (" …" if len(entries) > NAMED else "")
        raise BadDataset("no_images", field="images", folder=folder, found=found)
    return sources


def images_among(entries: Sequence[Path]) -> list[Path]:
    """The image files among ``entries``."""
    return [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]


def sub_folders(entries: Sequence[Path]) -> list[Source]:
    """Kohya's sub-folders among ``entries``."""
    sources = []
    for entry in entries:
        if (named := folder_repeats(entry.name)) and entry.is_dir():
            sources.append(Source(entry, images_among(entries_of(entry)), *named, entry.name))
    return sources


def _items(sources: Sequence[Source], trigger: str, captions: CaptionSettings) -> list[Item]:
    """The items of all image files; a caption is in the text file of the same name, if there is one."""
    ending = caption_ending(captions)
    _check_ending([image for source in sources for image in source.images], ending)
    items = []
    for source in sources:
        own = read_repeats(source.folder, source.images)
        for image in source.images:
            file = caption_file(image, ending)
            text = read_caption(file) if _is_file(file) else source.words
            wording, (width, height) = worded(text, trigger, captions), size_of(image)
            repeats = own.get(image.name, source.repeats)
            items.append(Item(image, wording, width, height, repeats, source.group, source.repeats))
    return items


def caption_file(image: Path, ending: str) -> Path:
    """Where the caption of an image is, if it has one."""
    return image.with_name(image.stem + ending)


def _is_file(file: Path) -> bool:
    """Whether there is such a file; not where its name is too long for one."""
    try:
        return file.is_file()
    except OSError:
        return False


def _check_ending(images: Sequence[Path], ending: str) -> None:
    """Raises ``BadDataset`` where no caption has this ending but some have another program's: all would be ignored."""
    endings = [ending, *(known for known in CAPTION_ENDINGS if known != ending)]
    used = [one for one in endings if any(_is_file(caption_file(image, one)) for image in images)]
    if used and used[0] != ending:
        raise BadDataset("captions_elsewhere", field="caption_extension", found=used[0], ending=ending)


def _with_opacity(items: list[Item], data: DataSettings) -> list[Item]:
    """The items, learnt where they are opaque if ``alpha_mask`` is on."""
    return [replace(item, mask=item.path) for item in items] if data.alpha_mask else items


def _with_masks(items: list[Item], images: Path, masks: Path) -> list[Item]:
    """The items with their masks from the folder ``masks``, or from its sub-folder of the same name as theirs.

    A mask file goes before the image's own transparency, as with kohya's ``conditioning_data_dir``.
    """
    files: dict[Path, dict[str, Path]] = {}
    with _blaming("mask_dir"):
        for parent in dict.fromkeys(item.path.parent for item in items):
            own = masks / parent.name
            files[parent] = masks_among(entries_of(own if parent != images and own.is_dir() else masks))
        found = [replace(item, mask=files[item.path.parent].get(item.path.stem, item.mask)) for item in items]
        for item in found:
            if item.mask not in (None, item.path):
                check_mask(item.mask, (item.width, item.height))
    if all(item.mask in (None, item.path) for item in found):
        raise BadDataset("masks_unmatched", field="mask_dir", folder=masks)
    return found
