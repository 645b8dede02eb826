"""open_clip's text tower as published: PyTorch's own attention, one fused tensor for q, k and v, GELU, causal."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, max(1, width // 64), batch_first=True)
        layers = {"c_fc": nn.Linear(width, 2 * width), "gelu": nn.GELU(), "c_proj": nn.Linear(2 * width, width)}
        self.mlp = nn.Sequential(OrderedDict(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.ln_1(x)
        unseen = torch.full((x.shape[1], x.shape[1]), float("-inf")).triu(1)
        x = x + self.attn(normed, normed, normed, attn_mask=unseen, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class OpenClip(nn.Module):
    """``states`` (one for the embeddings and one for every layer) and ``pooled`` of token ids (B, 77)."""

    def __init__(self, width: int, layers: int, projection: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(49408, width)
        self.positional_embedding = nn.Parameter(torch.randn(77, width) * 0.1)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, projection) * 0.1)
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        nn.init.normal_(self.token_embedding.weight, std=0.5)
        for norm in (module for module in self.modules() if isinstance(module, nn.LayerNorm)):
            nn.init.normal_(norm.weight, 1, 0.1)
            nn.init.normal_(norm.bias, 0.1, 0.1)

    def states(self, ids: torch.Tensor) -> list[torch.Tensor]:
        found = [self.token_embedding(ids) + self.positional_embedding]
        for block in self.transformer.resblocks:
            found.append(block(found[-1]))
        return found

    def pooled(self, ids: torch.Tensor) -> torch.Tensor:
        ends = self.ln_final(self.states(ids)[-1])[torch.arange(len(ids)), ids.argmax(dim=1)]
        return ends @ self.text_projection
