"""What this machine can do: its free graphics memory, and how fast it is, about."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

import torch

from lora_trainer.checkpoint.precision import choose_device
from lora_trainer.errors import BadSettings

# Multiply-adds of a multiprocessor in a cycle, times two, with 16-bit numbers (NVIDIA's architecture papers).
PER_CYCLE = {7: 1024, 8: 1024, 9: 4096, 10: 4096, 12: 1024}
A100 = (8, 0)
CYCLES = 1.6e9  # a second, about
OF_PEAK = 0.3  # what trainers reach of it: 29 % was published for SD 2 (MosaicML), 26 to 51 % for drawing
OF_MATMUL = 0.4  # the same on a processor, of what multiplying matrices reaches
SIDE, ROUNDS = 512, 3


@dataclass(frozen=True)
class Machine:
    """``device`` is ``"cuda"`` or ``"cpu"``; memory in bytes, None on a processor; ``flops`` are those reached in a
    second."""

    device: str
    free: int | None
    flops: float


def machine(wanted: str, shared: int = 0) -> Machine:
    """The machine that would train; ``shared`` bytes of its memory hold the checkpoint already. The processor where
    CUDA is wanted and is not there: the refusal is somebody else's."""
    try:
        device = choose_device(wanted)
    except BadSettings:
        device = "cpu"
    if device == "cpu":
        return Machine("cpu", None, _processor(torch.get_num_threads()))
    free, _ = torch.cuda.mem_get_info()
    idle = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return Machine("cuda", free + idle + shared, _card())


@cache
def _processor(threads: int) -> float:
    """Measured once, in a few hundredths of a second."""
    matrix = torch.ones(SIDE, SIDE)
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        times.append(time.perf_counter() - started)
    return OF_MATMUL * 2 * SIDE**3 / max(min(times), 1e-6)


def _card() -> float:
    card = torch.cuda.get_device_properties(torch.cuda.current_device())
    per_cycle = 2048 if (card.major, card.minor) == A100 else PER_CYCLE.get(card.major, 256)
    return OF_PEAK * float(card.multi_processor_count) * per_cycle * CYCLES
