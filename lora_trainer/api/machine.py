"""What there is to train with: the graphics card and its memory."""

from __future__ import annotations

from typing import Any


def graphics_card() -> dict[str, Any] | None:
    """Its name, and its memory in bytes: all of it and what is free; None where there is no CUDA device."""
    try:
        import torch
    except ImportError:  # the page can be looked at without
        return None
    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return {"name": torch.cuda.get_device_name(), "total": total, "free": free}
