"""Tensors kept in a folder under a key of everything that shapes them, so that nothing stale is ever read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError  # type: ignore[attr-defined,unused-ignore]  # old stubs lack it
from safetensors.torch import load, save

from lora_trainer.dataset.buckets import Placement
from lora_trainer.errors import RunFailed

PREPARATION = 1  # raise it when images are prepared differently for the VAE, or latents are kept differently
CHUNK = 1 << 20


class Cache:
    """One ``.safetensors`` file for each key in ``folder``; what was read or written is also held in memory.

    The tensor's name in the file is the key: a file that is damaged or belongs elsewhere counts as missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[str, torch.Tensor] = {}

    def get(self, key: str) -> torch.Tensor | None:
        """The tensor of ``key`` on the CPU, or None."""
        if key not in self._held:
            try:  # read whole instead of mapped: Windows cannot replace a file that is mapped
                self._held[key] = load(self._file(key).read_bytes())[key]
            except (OSError, SafetensorError, KeyError):
                return None
        return self._held[key]

    def put(self, key: str, tensor: torch.Tensor) -> None:
        """Keep a copy of ``tensor``. The file is there whole or not at all. Raises ``RunFailed`` on a full disk."""
        own = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self._file(key), save({key: own}))
        except OSError as error:
            raise RunFailed("cache_unwritable", folder=self.folder, reason=error.strerror) from error
        self._held[key] = own

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"


def file_hash(path: Path) -> str:
    """SHA-256 of the file's content: renaming or touching the file does not change it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def latents_key(image_hash: str, placement: Placement, model_key: str) -> str:
    """The key of an image's latents: its content, how it is resized and cropped, and who encodes it."""
    return _key("latents", PREPARATION, image_hash, dataclasses.astuple(placement), model_key)


def text_key(caption: str, model_key: str) -> str:
    """The key of a caption's embedding."""
    return _key("text", caption, model_key)


def _key(*parts: object) -> str:
    """SHA-256 over the parts, which JSON keeps apart."""
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


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
