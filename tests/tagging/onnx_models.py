"""ONNX models made on the spot, byte by byte (onnx.proto3 of ONNX 1.16), with the signatures of the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
FLOAT, INTS = 1, 7
POOL = 32


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def field(number: int, value: int | bytes | str) -> bytes:
    """One field of a message: a number, or bytes (text, a message)."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def node(kind: str, inputs: Sequence[str], output: str, **ints: Sequence[int]) -> bytes:
    attributes = b"".join(
        field(5, field(1, name) + b"".join(field(8, value) for value in values) + field(20, INTS))
        for name, values in ints.items()
    )
    return b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind) + attributes


def tensor(name: str, values: Array) -> bytes:
    dims = b"".join(field(1, size) for size in values.shape)
    return dims + field(2, FLOAT) + field(8, name) + field(9, values.astype("<f4").tobytes())


def value(name: str, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(field(1, field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))


def weights(size: int, tags: int, seed: int = 0) -> Array:
    """(cells, T): the areas' means, in rows, to the tags; a flat grey picture gives every tag 0.5."""
    cells = 3 * (size // POOL) ** 2
    found = np.random.default_rng(seed).normal(size=(cells, tags)) * (8 / 255 / cells**0.5)
    return (found - found.mean(0)).astype(np.float32)


def write_model(path: Path, matrix: Array, size: int, batch: int | str = "unk__1") -> Path:
    """A model that looks at the mean colours of areas: (B, size, size, 3) to (B, T) probabilities, as WD14 does."""
    nodes = [
        node("Transpose", ["input_1:0"], "channels", perm=[0, 3, 1, 2]),
        node("AveragePool", ["channels"], "pooled", kernel_shape=[POOL, POOL], strides=[POOL, POOL]),
        node("Flatten", ["pooled"], "flat"),
        node("MatMul", ["flat", "matrix"], "logits"),
        node("Sigmoid", ["logits"], "predictions_sigmoid"),
    ]
    graph = b"".join(field(1, one) for one in nodes) + field(2, "wd14") + field(5, tensor("matrix", matrix))
    graph += field(11, value("input_1:0", [batch, size, size, 3]))
    graph += field(12, value("predictions_sigmoid", [batch, matrix.shape[1]]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 13)))
    return path


def expected(batch: Array, matrix: Array) -> Array:
    """What such a model says, computed without it."""
    count, size = len(batch), batch.shape[1] // POOL
    areas = batch.reshape(count, size, POOL, size, POOL, 3).mean((2, 4))  # (B, h, w, 3)
    flat = areas.transpose(0, 3, 1, 2).reshape(count, -1).astype(np.float64)
    return (1 / (1 + np.exp(-flat @ matrix))).astype(np.float32)


RATINGS = ("general", "sensitive", "questionable", "explicit")
TAGS = ("1girl", "long_hair", "hat", "^_^", "o_o", "smile", "tree_(plant)", "sky", "red_background", "solo")
CHARACTERS = ("sprite_(series)", "zip", "hero_(tale)")


def write_tags(path: Path, general: Sequence[str] = TAGS) -> list[tuple[str, int]]:
    """A list of tags as the models have it: ratings first, then general tags, then characters."""
    rows = [(name, 9) for name in RATINGS] + [(name, 0) for name in general] + [(name, 4) for name in CHARACTERS]
    lines = ["tag_id,name,category,count", *(f"{i},{name},{kind},{9 * i}" for i, (name, kind) in enumerate(rows))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return rows
