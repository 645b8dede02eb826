"""Files that the page sends, kept apart until they are imported: few, small enough, under names that are safe."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.dataset.bench.naming import safe_stem
from lora_trainer.dataset.bench.notes import shown
from lora_trainer.dataset.bench.sources import CAPTIONS
from lora_trainer.dataset.pictures import MAX_PIXELS, SUFFIXES, size_at_head
from lora_trainer.errors import BadDataset, BadSettings, Unknown
from lora_trainer.project.changes import unwritable

BATCH = re.compile(r"[0-9a-f]{8,32}")
ARCHIVE = ".zip"
STALE_S = 86_400  # what nobody imported is thrown away after a day
MOST_NAME, MOST_DEPTH = 1000, 6  # letters of a name as it is sent; folders in it that are kept


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadLimits:
    """What is taken: files in a batch, and bytes of an image, of a caption, of an archive and of a batch."""

    files: int = 20_000
    image: int = 512 << 20
    caption: int = 16 << 20
    archive: int = 32 << 30
    total: int = 64 << 30


class Upload:
    """A file that is being sent: ``write`` its bytes, then ``finish`` it or ``drop`` it."""

    def __init__(self, target: Path, root: Path, most: int) -> None:
        self.target, self._root, self._most = target, root, most
        self.size = 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._part = target.with_name(f".{threading.get_ident():x}-{time.monotonic_ns():x}.part")
            self._file = self._part.open("wb")
        except OSError as error:
            raise unwritable(root, error) from error

    def write(self, chunk: bytes) -> None:
        """Raises ``BadDataset`` where there is no room, and ``BadSettings`` for a file that is too large."""
        self.size += len(chunk)
        if self.size > self._most:
            raise BadSettings("upload_large", field="name", name=shown(self.target.name), most=_bytes(self._most))
        try:
            self._file.write(chunk)
        except OSError as error:
            raise unwritable(self._root, error) from error

    def finish(self) -> None:
        """All was sent. Raises ``BadDataset`` for a picture whose head says that it is far too large."""
        try:
            self._file.close()
            self._part.replace(self.target)
        except OSError as error:
            raise unwritable(self._root, error) from error
        if self.target.suffix.lower() in SUFFIXES:
            self._check_pixels()

    def drop(self) -> None:
        """It was broken off, or is no good."""
        self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)

    def _check_pixels(self) -> None:
        """A picture that would fill the memory goes at once; what else is wrong with it, the import tells."""
        try:
            size_at_head(self.target)
        except BadDataset as error:
            if "pixels" in str(error.values.get("reason", "")):
                self.target.unlink(missing_ok=True)
                values = {"name": shown(self.target.name), "most": MAX_PIXELS // 1_000_000}
                raise BadDataset("upload_pixels", field="name", **values) from error


class Uploads:
    """The batches in ``folder`` that were sent and not imported yet. All methods may be called from any thread."""

    def __init__(self, folder: Path, limits: UploadLimits | None = None) -> None:
        self.folder = folder
        self.limits = limits or UploadLimits()
        self._lock = threading.Lock()
        self._sizes: dict[Path, dict[Path, int]] = {}  # of the files of each batch

    def begin(self, batch: str, name: str) -> Upload:
        """Take a file that its sender calls ``name``, perhaps with folders. Raises ``BadSettings``, ``BadDataset``."""
        limits, place = self.limits, self._place(batch)
        target = place / kept_name(name)
        with self._lock:
            sizes = self._sizes.get(place)
            if sizes is None:
                sizes = self._sizes[place] = _sizes_in(place)
            if len(sizes) >= limits.files and target not in sizes:
                raise BadSettings("upload_many", field="name", most=limits.files)
            room = limits.total - sum(size for file, size in sizes.items() if file != target)
        suffix = target.suffix.lower()
        most = {ARCHIVE: limits.archive, **dict.fromkeys(CAPTIONS, limits.caption)}.get(suffix, limits.image)
        return Upload(target, self.folder, min(most, room))

    def finish(self, batch: str, upload: Upload) -> str:
        """All of a file was sent; the name under which it is kept. Raises ``BadDataset``."""
        upload.finish()
        with self._lock:
            self._sizes.setdefault(self._place(batch), {})[upload.target] = upload.size
        return upload.target.name

    def sources(self, batch: str) -> list[Path]:
        """What is to be imported of a batch: its folder, and its archives one by one. Raises ``Unknown``."""
        place = self._place(batch)
        if not place.is_dir():
            raise Unknown("upload_unknown")
        pictures, archives = place / "files", place / "archives"
        found = sorted(archives.iterdir()) if archives.is_dir() else []
        return [*([pictures] if pictures.is_dir() else []), *(path for path in found if path.suffix == ARCHIVE)]

    def clear(self, batch: str) -> None:
        """Throw a batch away, and with it those that lie there for more than a day."""
        place = self._place(batch)
        shutil.rmtree(place, ignore_errors=True)
        with self._lock:
            self._sizes.pop(place, None)
        for place in self.folder.iterdir() if self.folder.is_dir() else ():
            with suppress(OSError):
                if BATCH.fullmatch(place.name) and place.stat().st_mtime < time.time() - STALE_S:
                    shutil.rmtree(place, ignore_errors=True)

    def _place(self, batch: str) -> Path:
        if not BATCH.fullmatch(batch):
            raise BadSettings("upload_batch", field="batch")
        return self.folder / batch


def _sizes_in(place: Path) -> dict[Path, int]:
    """The files of a batch that a restart finds."""
    files = (path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path: path.stat().st_size for path in files}


def kept_name(name: str) -> Path:
    """Where a file is kept below its batch. Raises ``BadSettings`` for what is not taken.

    A name that not every system can have gets one that it can; so that no two become the same, a folder named after
    the true one comes before it. An image and its caption, which are called alike, stay together.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or len(name) > MOST_NAME or ".." in parts or "\0" in name:
        raise BadSettings("upload_name", field="name", name=shown(name))
    *folders, last = parts
    stem, suffix = Path(last).stem, Path(last).suffix.lower()
    if suffix not in (*SUFFIXES, *CAPTIONS, ARCHIVE) or not stem:
        raise BadSettings("upload_kind", field="name", name=shown(last))
    safe = safe_stem(stem)
    if suffix == ARCHIVE:
        return Path("archives") / f"{safe}{'' if safe == stem and not folders else '-' + _mark(name)}{ARCHIVE}"
    places = [_safe_folder(part) for part in folders[-MOST_DEPTH:]] + ([] if safe == stem else [_mark(stem)])
    return Path("files", *places, f"{safe}{suffix}")


def _safe_folder(name: str) -> str:
    safe = safe_stem(name)
    return safe if safe == name else f"{safe}-{_mark(name)}"


def _mark(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _bytes(count: int) -> str:
    return f"{max(0, count) / (1 << 20):,.0f} MB"
