"""The two names of a U-Net's modules, diffusers' and LDM's, and kohya's numbers of its blocks.

All families have two resnets in a block of the way down and three in one of the way up; kohya has numbers for no
other layout.
"""

from __future__ import annotations

import re

ROWS = 3  # LDM's blocks in one of diffusers': on the way down the downsampler is the third, on the way up a resnet
MIDDLE, LAST = 12, 24  # kohya's block indices in SD1 and SD2
LDM_BLOCKS = {
    "time_embed": 0,
    "label_emb": 0,
    "input_blocks": 1,
    "middle_block": 10,
    "output_blocks": 13,
    "out": 22,
}  # where kohya's block indices of SDXL begin
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
MODULE = re.compile(r"(?:(down|up)_blocks\.(\d+)|mid_block)\.([a-z]+)\.(\d+)\.?(.*)")


def sdxl_module(module: str) -> str:
    """LDM's name of the ``module`` that diffusers names in SDXL's U-Net: ``down_blocks.1.attentions.0.proj_in`` is
    ``input_blocks.4.1.proj_in``.

    Raises ``ValueError`` for a name that is none of a U-Net's.
    """
    if module in ENDS:
        return ENDS[module]
    way, block, kind, number, rest = _parsed(module)
    row, attention = ROWS * block + number, int(kind == "attentions")
    if kind == "downsamplers":
        return f"input_blocks.{ROWS * (block + 1)}.0.op"
    if kind == "upsamplers":
        return f"output_blocks.{ROWS * block + 2}.2.{rest}"  # after a resnet and an attention
    inside = RESNET.get(rest, rest)
    if way == "down":
        return f"input_blocks.{1 + row}.{attention}.{inside}"
    if way == "up":
        return f"output_blocks.{row}.{attention}.{inside}"
    return f"middle_block.{1 if attention else 2 * number}.{inside}"


def sdxl_block(module: str) -> int:
    """kohya's index of the block that diffusers' ``module`` is in, in SDXL: 0 is before the blocks, 1 … 9 lead down,
    10 … 12 are the middle, 13 … 21 lead up, 22 is after them."""
    block, number, *_ = sdxl_module(module).split(".")
    counted = block in ("input_blocks", "middle_block", "output_blocks")
    return LDM_BLOCKS[block] + (int(number) if counted else 0)


def diffusers_block(module: str) -> int:
    """kohya's index of the block that diffusers' ``module`` is in, in SD1 and SD2: 0 is before the blocks, 1 … 11
    lead down, 12 is the middle, 13 … 24 lead up. What comes after them counts as the last."""
    if module in ENDS:
        return LAST if module.startswith("conv_") and module != "conv_in" else 0
    way, block, kind, number, _ = _parsed(module)
    if not way:
        return MIDDLE
    row = ROWS * block + (2 if kind.endswith("samplers") else number)
    return row + (1 if way == "down" else MIDDLE + 1)


def _parsed(module: str) -> tuple[str, int, str, int, str]:
    match = MODULE.fullmatch(module)
    if match is None:
        raise ValueError(f"no module of a U-Net: {module!r}")
    way, block, kind, number, rest = match.groups()
    return way or "", int(block or 0), kind, int(number), rest
