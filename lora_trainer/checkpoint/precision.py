"""Device and number formats of a run: where the borrowed modules work, and in what."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.errors import BadSettings

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """The device that trains, and the format of the frozen weights' arithmetic (LoRA weights are always fp32)."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager[object]:
        """Runs the frozen layers in ``dtype``; does nothing in fp32."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def scaler(self) -> Any:
        """Scales the loss in fp16, where small gradients would vanish; does nothing in other formats."""
        enabled = self.dtype == torch.float16
        current = getattr(torch.amp, "GradScaler", None)  # torch 2.3 and later
        return current(self.device.type, enabled=enabled) if current else torch.cuda.amp.GradScaler(enabled=enabled)


def choose_device(wanted: str) -> str:
    """``"cuda"`` or ``"cpu"``. Raises ``BadSettings`` when CUDA is wanted and there is none."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise BadSettings("no_cuda", field="device")
    return "cuda" if wanted in ("auto", "cuda") and torch.cuda.is_available() else "cpu"


def choose(device: str, mixed_precision: str) -> Precision:
    """The precision for ``device``: auto takes bf16 where CUDA has it, else fp16 on CUDA, and fp32 on the CPU.

    Raises ``BadSettings`` for fp16 on the CPU, which PyTorch cannot train in.
    """
    if device == "cpu":
        if mixed_precision == "fp16":
            raise BadSettings("fp16_on_cpu", field="mixed_precision")
        return Precision(torch.device("cpu"), DTYPES["bf16" if mixed_precision == "bf16" else "fp32"])
    best = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return Precision(torch.device(device), DTYPES[best if mixed_precision == "auto" else mixed_precision])


def place(parts: Parts, precision: Precision) -> None:
    """Have our modules on the device, in formats that can train there.

    A tensor that is already right stays shared with its owner; the others are replaced in our modules alone. Where all
    is to be computed in fp32, all weights are fp32; the CPU cannot compute in fp16 at all, and the VAE never does, as
    SDXL's overflows there.
    """
    on_cpu = precision.device.type == "cpu"
    for module in parts.modules:
        narrow = {torch.float16} if on_cpu or module is parts.vae else set()
        if precision.dtype == torch.float32:
            narrow = {torch.float16, torch.bfloat16}
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.data = tensor.data.to(precision.device, torch.float32 if tensor.dtype in narrow else tensor.dtype)


@contextmanager
def fast_maths(device: torch.device) -> Iterator[None]:
    """TF32 and cuDNN's own choice of algorithms while we train, given back afterwards."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    try:
        if device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = (
                True
            )
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before


def release_memory() -> None:
    """Give what nothing uses any more back to the device, so that others can have it."""
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
