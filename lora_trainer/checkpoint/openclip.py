"""open_clip's text encoders under transformers' names: every tensor is the owner's, or a view of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

WHOLE = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}
INSIDE = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
LAYER = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)[._](weight|bias)")


def transformers_names(
    tensors: Mapping[str, torch.Tensor], unused: int, with_projection: bool
) -> dict[str, torch.Tensor]:
    """The text encoder's tensors as ``CLIPTextModel`` or, ``with_projection``, ``CLIPTextModelWithProjection`` names
    them.

    The last ``unused`` layers are left out. q, k and v are the thirds of open_clip's ``in_proj``, and its projection is
    the transpose of theirs.
    """
    layers = {int(match.group(1)) for match in map(LAYER.match, tensors) if match}
    named = {theirs: tensors[ours] for ours, theirs in WHOLE.items()}
    for name, tensor in tensors.items():
        match = LAYER.fullmatch(name)
        if match is None or int(match.group(1)) >= len(layers) - unused:
            continue
        number, inside, kind = match.groups()
        prefix = f"text_model.encoder.layers.{number}"
        if inside == "attn.in_proj":
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                named[f"{prefix}.self_attn.{part}_proj.{kind}"] = third
        else:
            named[f"{prefix}.{INSIDE[inside]}.{kind}"] = tensor
    if with_projection:
        named["text_projection.weight"] = tensors["text_projection"].t()
    return named
