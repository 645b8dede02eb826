"""The U-Net's blocks as kohya counts them: learning rates, ranks and alphas of each."""

from __future__ import annotations

import math

from lora_trainer.errors import BadSettings

SHAPES = ("cosine", "sine", "linear", "reverse_linear", "zeros")
# Blocks that learning rates name (input, middle, output), and the index of the first of them. SDXL counts the
# embeddings of time and size as block 0 and the output as block 22, neither of which has a learning rate.
SIZES = {"SDXL": ((9, 3, 9), 1)}
USUAL_SIZES = ((12, 1, 12), 0)


def sizes_of(family: str) -> tuple[tuple[int, int, int], int]:
    """Numbers of input, middle and output blocks of a kind of model, and the index of the first."""
    return SIZES.get(family, USUAL_SIZES)


def block_count(family: str) -> int:
    """How many ranks a list of all blocks holds: 25, and 23 for SDXL."""
    counted, first = sizes_of(family)
    return sum(counted) + 2 * first


def numbers(name: str, text: str) -> tuple[float, ...]:
    """Numbers parted by commas. Raises ``BadSettings`` when one is none or below zero."""
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise BadSettings("network_numbers", field=name, name=name, value=text) from error
    if not all(math.isfinite(number) and number >= 0 for number in found):
        raise BadSettings("network_numbers", field=name, name=name, value=text)
    return found


def check_factors(name: str, text: str) -> None:
    """Raise ``BadSettings`` unless ``text`` holds numbers or a known shape."""
    factors(name, text, 10_000)


def factors(name: str, text: str, count: int) -> tuple[float, ...]:
    """``count`` factors on the learning rate: listed ones, filled up with 1, or a shape with an optional ``+base``.

    kohya's ``down_lr_weight``, ``mid_lr_weight`` and ``up_lr_weight``. Raises ``BadSettings``.
    """
    shape, plus, base_text = (part.strip() for part in text.partition("+"))
    if shape not in SHAPES:
        listed = numbers(name, text)
        if len(listed) > count:
            raise BadSettings("network_blocks_count", field=name, name=name, count=len(listed), wanted=count)
        return listed + (1.0,) * (count - len(listed))
    base = numbers(name, base_text)[0] if plus and base_text else 0.0
    return tuple(base + _curve(shape, i / max(1, count - 1)) for i in range(count))


def _curve(shape: str, position: float) -> float:
    """The shape's height at a position from 0 to 1: cosine and reverse_linear fall, sine and linear rise."""
    if shape == "zeros":
        return 0.0
    if shape in ("cosine", "reverse_linear"):
        position = 1 - position
    return math.sin(math.pi / 2 * position) if shape in ("cosine", "sine") else position


def rate_factors(family: str, texts: tuple[str, str, str], threshold: float) -> dict[int, float]:
    """The factor of each block's learning rate; at or below ``threshold`` it is 0. Blocks without one count fully."""
    if not any(texts):
        return {}
    counted, first = sizes_of(family)
    names = ("down_lr_weight", "mid_lr_weight", "up_lr_weight")
    found = [f for name, text, count in zip(names, texts, counted, strict=True) for f in factors(name, text, count)]
    return {first + i: 0.0 if factor <= threshold else factor for i, factor in enumerate(found)}


def of_all_blocks(family: str, name: str, listed: tuple[float, ...]) -> tuple[float, ...]:
    """``listed``, which has to be empty or as long as the family has blocks. Raises ``BadSettings``."""
    if listed and len(listed) != block_count(family):
        raise BadSettings("network_blocks_count", field=name, name=name, count=len(listed), wanted=block_count(family))
    return listed
