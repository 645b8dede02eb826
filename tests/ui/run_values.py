"""For every setting another value than its default, as its control would give it."""

from __future__ import annotations

from typing import Any

TEXTS = {
    "mask_dir": "/masks",
    "caption_extension": ".caption",
    "background": "#102030",
    "down_lr_weight": "cosine",
    "block_dims": ", ".join(["4"] * 25),
    "block_alphas": ", ".join(["2"] * 25),
    "conv_block_dims": ", ".join(["4"] * 25),
    "conv_block_alphas": ", ".join(["2"] * 25),
    "base_weights_multiplier": "0.5",
}


def another(field: dict[str, Any]) -> Any:
    """A value for a field of ``GET schema``."""
    default, kind = field["default"], field["kind"]
    if kind == "bool":
        return not default
    if kind in ("choice", "suggest"):
        return next(choice for choice in reversed(field["choices"]) if choice != default)
    if kind in ("int", "float"):
        step = 1 if kind == "int" else field["step"]
        return round(default + step if default + step <= field["high"] else default - step, 6)
    if kind == "numbers":
        return [0.5, 0.75]
    return ["a=1", "b=2"] if kind == "lines" else TEXTS.get(field["name"], "word")
