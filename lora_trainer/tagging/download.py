"""Having a model's files: found where they lie already, or fetched from the hub with progress.

huggingface_hub does the fetching, so that its cache, its proxies and its tokens are the user's usual ones. It runs in a
process of its own, which can be stopped. A download that broke off goes on where it was with the versions that the
WebUI takes (below 1.0); newer ones begin a file anew in every process.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lora_trainer.tagging.events import Fetching
from lora_trainer.tagging.models import Model, RemoteFile
from lora_trainer.tagging.tagger import BadTagger

WORKER = Path(__file__).with_name("fetch_worker.py")
HUB = "https://huggingface.co"
SHA256 = re.compile(r"[0-9a-f]{64}")
INCOMPLETE = "*.incomplete"  # how the hub's library names what is not whole yet
NEVER_RESUMED = re.compile(r"\.[0-9a-f]{8}\.incomplete")  # and its newer versions, which never look at it again
POLL_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """Where models may lie, and where they are fetched from.

    ``folder`` is the offline folder: it has a folder for every model, of the model's name, or one model's files, or is
    a copy of a hub cache. ``caches`` are further hub caches, such as the tagger extension's. ``store`` is the cache to
    download to; None is the hub's usual one. ``endpoint`` is a mirror; empty is what ``HF_ENDPOINT`` says, else the
    hub. Without ``online`` nothing is fetched.
    """

    folder: Path | None = None
    caches: tuple[Path, ...] = ()
    store: Path | None = None
    endpoint: str = ""
    online: bool = True

    @property
    def cache(self) -> Path:
        """The hub cache to download to."""
        from huggingface_hub import constants

        return self.store or Path(constants.HF_HUB_CACHE)

    @property
    def address(self) -> str:
        """Where files are fetched from."""
        from huggingface_hub import constants

        return (self.endpoint.strip() or constants.ENDPOINT or HUB).rstrip("/")


def find(model: Model, sources: Sources) -> Path | None:
    """The folder with all files of ``model``, from the offline folder, a cache of others or the hub's; else None.

    Another revision in a cache counts too, after the one in the table: who has a model need not fetch it again.
    """
    for folder in _offline(model, sources):
        if _has(folder, model):
            return folder
    snapshots = [snapshot for cache in _caches(sources) for snapshot in _snapshots(cache, model)]
    for snapshot in sorted(snapshots, key=lambda one: one.name != model.revision):
        if _has(snapshot, model, sized=snapshot.name == model.revision):
            return snapshot
    return None


def fetch(model: Model, sources: Sources) -> Generator[Fetching, None, Path]:
    """Find the model or download it; yields its progress and returns its folder. Closing it ends the download.

    Raises ``BadTagger`` where it is neither here nor to be had, where the disk is full and where what came is not what
    the table, or else the hub, says it is.
    """
    if (found := find(model, sources)) is not None:
        return found
    if not sources.online:
        places = ", ".join(str(place) for place in [sources.folder, *_caches(sources)] if place)
        raise BadTagger("tagger_absent", field="tagger", name=model.name, repo=model.repo, places=places)
    _check_space(model, sources.cache)
    before = 0
    for file in model.files:
        for done in _downloading(model, file, sources):
            yield Fetching(file=file.name, done=min(before + done, model.size), total=model.size)
        _verify(_pointer(sources.cache, model, file), model, file)
        before += file.size
    yield Fetching(file="", done=model.size, total=model.size)
    return _pointer(sources.cache, model, model.files[0]).parent


def _offline(model: Model, sources: Sources) -> list[Path]:
    """Where the offline folder may have the model: by its name, by kohya's name for it, or at once."""
    names = (model.name, model.repo.replace("/", "_"), model.repo, "")
    return [] if sources.folder is None else [sources.folder / name for name in names]


def _caches(sources: Sources) -> list[Path]:
    """The folders that may be hub caches, each once."""
    found = [*([sources.folder] if sources.folder else []), *sources.caches, sources.cache]
    return list(dict.fromkeys(found))


def _repository(cache: Path, model: Model) -> Path:
    """A repository's folder in a hub cache."""
    return cache / f"models--{model.repo.replace('/', '--')}"


def _snapshots(cache: Path, model: Model) -> list[Path]:
    """The revisions of the model in a hub cache."""
    with suppress(OSError):
        return sorted((_repository(cache, model) / "snapshots").iterdir())
    return []


def _pointer(cache: Path, model: Model, file: RemoteFile) -> Path:
    """Where a hub cache has a file of the table's revision; "main" is the commit that it was at the download."""
    repository = _repository(cache, model)
    with suppress(OSError):
        named = (repository / "refs" / model.revision).read_text(encoding="utf-8").strip()
        return repository / "snapshots" / named / file.name
    return repository / "snapshots" / model.revision / file.name


def _has(folder: Path, model: Model, sized: bool = True) -> bool:
    """Whether all files are there and not empty; in the table's sizes unless the revision is another one."""
    with suppress(OSError):
        sizes = [(folder / file.name).stat().st_size for file in model.files]
        return all(file.fits(size) if sized else size for file, size in zip(model.files, sizes, strict=True))
    return False


def _check_space(model: Model, cache: Path) -> None:
    """Raises ``BadTagger`` where the disk has no room for the model."""
    there = next((folder for folder in (cache, *cache.parents) if folder.is_dir()), None)
    if there is not None and (free := shutil.disk_usage(there).free) < model.size:
        sizes = {"size": _megabytes(model.size), "free": _megabytes(free)}
        raise BadTagger("tagger_no_space", field="tagger", name=model.name, folder=cache, **sizes)


def _megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e6:,.0f} MB"


def _downloading(model: Model, file: RemoteFile, sources: Sources) -> Iterator[int]:
    """Download one file; yields the bytes that are there. Raises ``BadTagger``."""
    asked = {
        "repo_id": model.repo,
        "filename": file.name,
        "revision": model.revision,
        "cache_dir": str(sources.cache),
        "endpoint": sources.address,
    }
    blobs = _repository(sources.cache, model) / "blobs"
    others = set(blobs.glob(INCOMPLETE))
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # on Windows
        )
        try:
            with suppress(BrokenPipeError):
                process.communicate(json.dumps(asked).encode(), timeout=POLL_S)
        except subprocess.TimeoutExpired:
            yield from _watched(process, blobs)
        finally:
            process.kill()
            process.wait()
            _tidy(set(blobs.glob(INCOMPLETE)) - others)
        if process.returncode != 0:
            said.seek(0)
            lines = said.read().decode("utf-8", "replace").strip().splitlines()
            values = {"name": model.name, "address": sources.address, "repo": model.repo}
            raise BadTagger("tagger_download", field="tagger", reason=_reason(lines), **values)


def _tidy(parts: set[Path]) -> None:
    """Remove what a stopped download has left, where it is never continued."""
    for part in parts:
        if NEVER_RESUMED.search(part.name):
            with suppress(OSError):
                part.unlink()


def _watched(process: subprocess.Popen[bytes], blobs: Path) -> Iterator[int]:
    """The size of the file that grows, until the process ends."""
    while True:
        sizes = []
        for part in blobs.glob(INCOMPLETE):
            with suppress(OSError):  # it is whole now
                sizes.append((part.stat().st_mtime, part.stat().st_size))
        if sizes:
            yield max(sizes)[1]
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
            return


def _reason(lines: list[str]) -> str:
    """The error's own words, from the end of what the process said."""
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Found|Enabled)\b", line)]
    return ((errors or lines or ["?"])[-1].partition(": ")[2] or (errors or lines or ["?"])[-1])[:300]


def _verify(pointer: Path, model: Model, file: RemoteFile) -> None:
    """Raises ``BadTagger`` where a file is not the one of the table, or of the hub's own hash; then it is removed."""
    blob = pointer.resolve()
    wanted = file.sha256 or (blob.name if SHA256.fullmatch(blob.name) else "")
    try:
        if file.fits(blob.stat().st_size) and (not wanted or sha256(blob) == wanted):
            return
    except OSError as error:
        raise BadTagger("tagger_unreadable", field="tagger", name=blob, reason=error) from error
    for path in {pointer, blob}:
        path.unlink(missing_ok=True)
    raise BadTagger("tagger_damaged", field="tagger", name=file.name, repo=model.repo)


def sha256(path: Path) -> str:
    """The SHA-256 of a file. Raises ``OSError``."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
