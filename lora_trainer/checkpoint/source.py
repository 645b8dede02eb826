"""A checkpoint before it is adopted: named tensors by reference, and what its configs say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Checkpoint:
    """Weights in LDM names (``model.diffusion_model.…``, ``first_stage_model.…``,
    ``cond_stage_model.transformer.…``).

    ``tensors`` are the host's own: shared, never to be written to. ``config`` is the model's LDM yaml as plain
    dictionaries, empty where there is none; ``text_config`` is the CLIP text encoder's (transformers' names),
    likewise: what they leave open is read from the weights' shapes. ``tokenizer`` is the host's, or None: then CLIP's
    is made.
    """

    title: str
    tensors: Mapping[str, torch.Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    text_config: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    sha256: str = ""
    tokenizer: Any = None
