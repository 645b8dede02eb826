"""A checkpoint before it is adopted: named tensors by reference, and what its configs say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Checkpoint:
    """Weights in the names of LDM and SGM (``model.diffusion_model.…``, ``first_stage_model.…``,
    ``cond_stage_model.…`` or ``conditioner.embedders.…``).

    ``tensors`` are the host's own: shared, never to be written to. ``config`` is the model's yaml as plain
    dictionaries, empty where there is none; ``text_config`` is that of the text encoder which transformers made,
    likewise: what they leave open is read from the weights' shapes. ``metadata`` is the file's. ``tokenizer`` is the
    host's, or None: then CLIP's is made.
    """

    title: str
    tensors: Mapping[str, torch.Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    text_config: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    sha256: str = ""
    tokenizer: Any = None
