"""Tensors kept in a folder under a key of everything that shapes them, so that nothing stale is ever read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import ImageColor
from safetensors import SafetensorError, safe_open  # type: ignore[attr-defined,unused-ignore]  # old stubs lack it
from safetensors.torch import load, save

from lora_trainer.dataset.buckets import Placement
from lora_trainer.errors import RunFailed

PREPARATION = 2  # raise it when images are prepared differently for the VAE, or latents are kept differently
CHUNK = 1 << 20


class Cache:
    """One ``.safetensors`` file for each key in ``folder``, with one or more named tensors in it.

    Their names in the file begin with the key: a file that is damaged or belongs elsewhere counts as missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> dict[str, torch.Tensor] | None:
        """The tensors of ``key`` on the CPU, or None."""
        try:  # read whole instead of mapped: Windows cannot replace a file that is mapped
            found = load(self._file(key).read_bytes())
        except (OSError, SafetensorError):
            return None
        return {name.removeprefix(f"{key}/"): tensor for name, tensor in found.items()} if _own(key, found) else None

    def size(self, key: str) -> int | None:
        """The bytes that ``get`` would read, without reading them; None where it would find nothing."""
        file = self._file(key)
        try:
            with safe_open(file, "pt") as content:  # type: ignore[no-untyped-call,unused-ignore]
                names = dict.fromkeys(content.keys())
            return file.stat().st_size if _own(key, names) else None
        except (OSError, SafetensorError):
            return None

    def put(self, key: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Keep a copy of ``tensors``. The file is there whole or not at all. Raises ``RunFailed`` on a full disk."""
        own = {f"{key}/{name}": _copy(tensor) for name, tensor in tensors.items()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self._file(key), save(own))
        except OSError as error:
            raise RunFailed("cache_unwritable", folder=self.folder, reason=error.strerror) from error

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"


def file_hash(path: Path) -> str:
    """SHA-256 of the file's content: renaming or touching the file does not change it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def latents_key(
    image_hash: str, placement: Placement, model_key: str, flipped: bool = False, background: str = "white"
) -> str:
    """The key of an image's latents: its content, how it is resized, cropped and mirrored, who encodes it, and the
    colour behind what is transparent."""
    kind = "mirrored latents" if flipped else "latents"
    colour = ImageColor.getrgb(background)
    return _key(kind, PREPARATION, image_hash, dataclasses.astuple(placement), model_key, colour)


def mask_key(mask_hash: str, placement: Placement, opacity: bool) -> str:
    """The key of a mask: its content, what of it counts, and how its image is resized and cropped. Of no model."""
    return _key("opacity" if opacity else "mask", PREPARATION, mask_hash, dataclasses.astuple(placement))


def text_key(caption: str, model_key: str) -> str:
    """The key of a caption's embedding."""
    return _key("text", caption, model_key)


def _key(*parts: object) -> str:
    """SHA-256 over the parts, which JSON keeps apart."""
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


def _own(key: str, names: Mapping[str, object]) -> bool:
    """Whether tensors of these names are those of ``key``."""
    return bool(names) and all(name.startswith(f"{key}/") for name in names)


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """A copy on the CPU that shares no memory, as the file format asks."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _write(file: Path, content: bytes) -> None:
    """Temporary file, fsync, rename (D5); the temporary file goes when that fails."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.stem[:16], suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as temporary:
            temporary.write(content)
            temporary.flush()
            os.fsync(temporary.fileno())
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
