"""Colour profiles written by hand (ICC.1:2001-04, version 2), since none may be taken from anywhere."""

from __future__ import annotations

import struct

# sRGB's primaries and the white of the profile connection space (D50), as XYZ.
RED, GREEN, BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
WHITE = (0.9642, 1.0, 0.8249)


def rgb(gamma: float, primaries: tuple[tuple[float, float, float], ...] = (RED, GREEN, BLUE)) -> bytes:
    """A matrix profile with one curve for all channels."""
    tags = {f"{channel}XYZ": _xyz(primary) for channel, primary in zip("rgb", primaries, strict=True)}
    return _profile("RGB ", {**tags, **{f"{channel}TRC": _curve(gamma) for channel in "rgb"}})


def grey(gamma: float) -> bytes:
    """A profile of greys."""
    return _profile("GRAY", {"kTRC": _curve(gamma)})


def cmyk(lightness: int) -> bytes:
    """A printer's profile in which every ink mixture comes out as the same grey (``lightness`` in 0..255 of L*)."""
    ramp = bytes(range(256))
    header = struct.pack(">4sIBBBB9i", b"mft1", 0, 4, 3, 2, 0, *(65536 if i % 4 == 0 else 0 for i in range(9)))
    return _profile("CMYK", {"A2B0": header + ramp * 4 + bytes((lightness, 128, 128)) * 16 + ramp * 3}, "Lab ", "prtr")


def _profile(space: str, tags: dict[str, bytes], connection: str = "XYZ ", device: str = "mntr") -> bytes:
    name = b"tests\0"
    described = b"desc" + struct.pack(">II", 0, len(name)) + name + bytes(78)
    tags = {"desc": described, "cprt": b"text" + bytes(4) + name, "wtpt": _xyz(WHITE), **tags}
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for key, content in tags.items():
        table += struct.pack(">4sII", key.encode(), offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", offset + len(body), b"", 0x02400000, device.encode(), space.encode(),
                       connection.encode())  # fmt: skip
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _numbers(WHITE)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + _numbers(values)


def _numbers(values: tuple[float, float, float]) -> bytes:
    return struct.pack(">3i", *(round(value * 65536) for value in values))


def _curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))
