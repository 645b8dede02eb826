"""Small pictures of images: made when asked for, few at a time, kept on the disk under what they show."""

from __future__ import annotations

import hashlib
import io
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from lora_trainer.dataset.cache import file_hash
from lora_trainer.dataset.pictures import glance
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadDataset

AT_ONCE = 2  # decoded images take memory: a phone photograph 150 MB
QUALITY = 85
REMEMBERED = 50_000  # hashes of files


class Thumbnails:
    """JPEGs of images, at most ``side`` pixels long, upright, on white. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lora_trainer thumbnails")
        self._lock = threading.Lock()
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._making: dict[Path, Future[bytes]] = {}

    def jpeg(self, image: Path, side: int, cache: Path) -> bytes:
        """The picture, kept in the folder ``cache``. Raises ``BadDataset`` where the image cannot be read."""
        kept = cache / f"{self._content(image)}-{side}.jpg"
        with suppress(OSError):
            return kept.read_bytes()
        with self._lock:
            making = self._making.get(kept)
            if making is None:
                making = self._making[kept] = self._pool.submit(_make, image, side, kept)
        try:
            return making.result()
        finally:
            with self._lock:
                self._making.pop(kept, None)

    def _content(self, image: Path) -> str:
        """The image's hash, found again without reading it while the file stays as it is."""
        try:
            status = image.stat()
            stamp = str(image), status.st_mtime_ns, status.st_size
            found = self._hashes.get(stamp) or file_hash(image)
        except OSError as error:
            reason = error.strerror or error
            raise BadDataset("image_unreadable", field="images", name=image.name, reason=reason) from error
        with self._lock:
            if len(self._hashes) >= REMEMBERED:
                self._hashes.clear()
            self._hashes[stamp] = found
        return found


def version_of(image: Path) -> str:
    """A mark that changes with the file, for addresses that may be kept for ever; "" where there is no file."""
    try:
        status = image.stat()
    except OSError:
        return ""
    stamp = f"{image} {status.st_mtime_ns} {status.st_size}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(stamp).hexdigest()[:12]


def _make(image: Path, side: int, kept: Path) -> bytes:
    picture = glance(image, 2 * side).picture.convert("RGB")
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    with suppress(OSError):  # on a full disk it is made anew each time
        write_whole(kept, buffer.getvalue())
    return buffer.getvalue()
