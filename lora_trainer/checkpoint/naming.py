"""The two names of a U-Net's modules, diffusers' and LDM's, and kohya's numbers of its blocks.

All families have two resnets in a block of the way down and three in one of the way up; kohya's numbers exist for no
other layout.
"""

from __future__ import annotations

import re

DOWN, UP = 3, 3  # LDM blocks of one of diffusers' blocks: the way down ends with a downsampler
MIDDLE_BLOCK = 12  # SD1 and SD2: kohya's index of the middle; 1 … 11 go down and 13 … 24 up
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
PLACE = re.compile(r"(?:(down|up)_blocks\.(\d+)|(mid)_block)\.([a-z]+)\.(\d+)\.?(.*)")


def ldm_module(module: str) -> str:
    """LDM's name of diffusers' U-Net ``module``: ``down_blocks.1.attentions.0.proj_in`` is
    ``input_blocks.4.1.proj_in``.

    Raises ``ValueError`` for a name that is none of a U-Net's.
    """
    if module in ENDS:
        return ENDS[module]
    match = PLACE.fullmatch(module)
    if match is None:
        raise ValueError(f"no module of a U-Net: {module!r}")
    way, block, _, kind, number, rest = match.groups()
    inside = RESNET.get(rest, rest) if kind == "resnets" else rest
    place = _place(way, int(block or 0), kind, int(number))
    return f"{place}.{inside}" if inside else place


def _place(way: str | None, block: int, kind: str, number: int) -> str:
    column = 0 if kind == "resnets" else 1
    if way is None:
        return f"middle_block.{1 if kind == 'attentions' else 2 * number}"
    if way == "down":
        if kind == "downsamplers":
            return f"input_blocks.{DOWN * (block + 1)}.0"
        return f"input_blocks.{1 + DOWN * block + number}.{column}"
    raise NotImplementedError


def diffusers_block(module: str) -> int:
    """kohya's index of the block of diffusers' U-Net ``module`` in SD1 and SD2: 0 before the blocks, 1 … 11 down, 12
    the middle, 13 … 24 up and after."""
    raise NotImplementedError


def ldm_block(module: str) -> int:
    """kohya's index of the block of LDM's U-Net ``module`` in SDXL: 0 before the blocks, 1 … 9 down, 10 … 12 the
    middle, 13 … 21 up, 22 after."""
    raise NotImplementedError
