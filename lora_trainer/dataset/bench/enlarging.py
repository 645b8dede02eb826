"""New images from those of a set: crops, squares of long images, mirror images, faces. Originals are never changed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from PIL import Image

from lora_trainer.dataset.bench.crops import Cut, centre_box, face_box, focus_box, split_boxes
from lora_trainer.dataset.bench.derived import Derived, derived_in, record, set_aside
from lora_trainer.dataset.bench.faces import FaceDetector
from lora_trainer.dataset.bench.importing import OURS
from lora_trainer.dataset.bench.naming import Stems, safe_stem
from lora_trainer.dataset.bench.notes import CannotWrite, Made, Noted, Stop, never, shown, told, writing
from lora_trainer.dataset.bench.sources import CAPTIONS
from lora_trainer.dataset.buckets import Size, place
from lora_trainer.dataset.cache import file_hash
from lora_trainer.dataset.colour import on_background
from lora_trainer.dataset.pictures import open_layers
from lora_trainer.dataset.repeats import folder_repeats
from lora_trainer.errors import BadDataset
from lora_trainer.events import Event, Progress


class Recipe(Protocol):
    """What is made of a picture."""

    @property
    def how(self) -> str:
        """Its name in the record."""

    @property
    def subset(self) -> str:
        """The folder of the set that the images go to; "" for that of their parent."""

    def cuts(self, picture: Image.Image) -> Sequence[Cut] | Noted:
        """The parts of an upright RGB picture; a note where there should be some and are none (its name is filled in
        later)."""


@dataclass(frozen=True, kw_only=True)
class Crop:
    """One crop an image, of the nearest shape among ``sizes``, scaled down to it: the buckets of a run, or one size.

    By ``focus`` it keeps faces (those that ``detector`` finds) and detail, else the middle.
    """

    sizes: tuple[Size, ...]
    focus: bool = True
    detector: FaceDetector | None = None
    how: str = "crop"
    subset: str = ""

    def cuts(self, picture: Image.Image) -> Sequence[Cut]:
        """One."""
        size = place(picture.size, self.sizes).bucket
        if not self.focus:
            return [Cut("crop", centre_box(picture.size, size), size)]
        faces = self.detector.find(picture) if self.detector else []
        return [Cut("crop", focus_box(picture, size, faces), size)]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Overlapping squares along an image that is long; none of one that is not."""

    overlap: float = 0.2
    how: str = "split"
    subset: str = ""

    def cuts(self, picture: Image.Image) -> Sequence[Cut]:
        """From left to right or from top to bottom."""
        side = min(picture.size)
        boxes = split_boxes(picture.size, self.overlap)
        return [Cut(f"part{number}", box, (side, side)) for number, box in enumerate(boxes, start=1)]


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """The mirror image."""

    how: str = "mirror"
    subset: str = ""

    def cuts(self, picture: Image.Image) -> Sequence[Cut]:
        """One."""
        return [Cut("mirror", (0, 0, *picture.size), picture.size, mirrored=True)]


@dataclass(frozen=True, kw_only=True)
class Faces:
    """A square around each face, in a subset with ``repeats`` of its own; faces below ``least`` pixels are left out.

    ``side`` is the most that they are scaled down to; ``margin`` is in sides of the face.
    """

    detector: FaceDetector
    side: int = 512
    repeats: int = 3
    name: str = "face"
    margin: float = 0.5
    least: int = 96
    how: str = "face"

    @property
    def subset(self) -> str:
        """kohya's folder."""
        return f"{self.repeats}_{safe_stem(self.name)}"

    def cuts(self, picture: Image.Image) -> Sequence[Cut] | Noted:
        """One for each face, the largest first."""
        faces = self.detector.find(picture)
        large = [face for face in faces if min(face[2] - face[0], face[3] - face[1]) >= self.least]
        if not large:
            values = {"least": self.least} if faces else {}
            return Noted(key="face_small" if faces else "no_face", name="", values=values)
        boxes = [face_box(picture.size, face, self.margin) for face in large]
        return [
            Cut(f"face{number}", box, (min(self.side, box[2] - box[0]),) * 2)
            for number, box in enumerate(boxes, start=1)
        ]


@dataclass(slots=True)
class _Work:
    """What was made by now."""

    folder: Path
    recipe: Recipe
    known: set[str]
    images: list[str] = field(default_factory=list)
    met: int = 0
    stems: dict[Path, Stems] = field(default_factory=dict)


def derive(
    folder: Path, images: Sequence[Path], recipe: Recipe, *, instead: bool = False, stop: Stop = never
) -> Iterator[Event]:
    """Make the recipe's parts of these images of the set ``folder``, as PNG files with their parents' captions.

    Yields ``Progress``, ``Noted`` and at last ``Made``. What was made before is not made again. With ``instead`` an
    image that parts were made of is set aside (``bring_back`` undoes it); otherwise it stays beside them.
    """
    work = _Work(folder, recipe, {one.digest for one in derived_in(folder)})
    outcome, batch = "finished", None
    try:
        yield Progress(stage="deriving", done=0, total=len(images))
        for done, image in enumerate(images, start=1):
            if stop():
                outcome = "stopped"
                break
            result = _derive(work, image)
            if isinstance(result, Noted):
                yield result
            elif result and instead:
                batch = set_aside(folder, [image], batch)
            yield Progress(stage="deriving", done=done, total=len(images))
    except CannotWrite as error:
        outcome = "failed"
        yield error.note(folder)
    yield Made(images=tuple(work.images), known=work.met, outcome=outcome)


def _derive(work: _Work, image: Path) -> Noted | bool:
    """Make the parts of one image; whether it has any, or what is the matter."""
    name = image.relative_to(work.folder).as_posix()
    try:
        picture = open_layers(image)
    except BadDataset as error:
        return told(error, shown(name))
    cuts = work.recipe.cuts(on_background(picture, "white"))
    if isinstance(cuts, Noted):
        return Noted(key=cuts.key, name=shown(name), values=cuts.values)
    wanted = [cut for cut in cuts if cut.changes(picture.size)]
    digest = file_hash(image) if wanted else ""
    for cut in wanted:
        content = _png(cut.taken_from(picture))
        own = hashlib.sha256(content).hexdigest()
        if own in work.known:
            work.met += 1
            continue
        target = _target(work, image, cut.label)
        path = target.relative_to(work.folder).as_posix()
        record(
            work.folder,
            Derived(digest=own, path=path, parent_digest=digest, parent=name, how=work.recipe.how, box=cut.box),
        )
        for file, text in _captions(work, image, target).items():
            _put(work.folder, file, text)
        _put(work.folder, target, content)
        work.known.add(own)
        work.images.append(path)
    return bool(wanted)


def _target(work: _Work, image: Path, label: str) -> Path:
    """Where a part goes, under a name that is free."""
    place = work.folder / work.recipe.subset if work.recipe.subset else image.parent
    writing(place.mkdir, parents=True, exist_ok=True)
    if place not in work.stems:
        work.stems[place] = Stems(place)
    return place / f"{work.stems[place].take(f'{safe_stem(image.stem)}_{label}')}.png"


def _captions(work: _Work, image: Path, target: Path) -> dict[Path, bytes]:
    """The captions that a part inherits: its parent's files, or the words of a folder that it leaves."""
    files = {ending: image.with_name(image.stem + ending) for ending in CAPTIONS}
    texts = {target.with_suffix(ending): file.read_bytes() for ending, file in files.items() if file.is_file()}
    named = folder_repeats(image.parent.name) if image.parent != work.folder else None
    if not texts and named and image.parent != target.parent:
        texts[target.with_suffix(CAPTIONS[0])] = named[1].encode()
    return texts


def _put(folder: Path, file: Path, content: bytes) -> None:
    """A file, whole or not at all. Raises ``CannotWrite``."""
    scratch = folder / OURS / "part.tmp"
    writing(scratch.write_bytes, content)
    writing(scratch.replace, file)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
