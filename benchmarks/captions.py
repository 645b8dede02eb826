"""How long edits of captions take: ``python -m benchmarks.captions [--counts 1000 10000]``.

Prints the seconds, and beside them the processor's, of reading a set, the frequency list, a filter, a preview, a plain
and a regular replace, an undo, and a restart with its journal.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lora_trainer.captions.counting import frequencies
from lora_trainer.captions.operations import Replace, ReplacePattern
from lora_trainer.captions.selection import Everything, Filtered
from lora_trainer.captions.store import CaptionStore

TAGS = 20


def write_set(folder: Path, count: int) -> None:
    """``count`` captions of twenty tags, beside empty files in the images' place."""
    for number in range(count):
        words = ["sks", "hat", *(f"tag {(number * 7 + k * k) % 300}" for k in range(TAGS - 2))]
        (folder / f"{number:05d}.png").touch()
        (folder / f"{number:05d}.txt").write_text(", ".join(words) + "\n", encoding="utf-8")


def timed(work: Callable[[], object]) -> str:
    """Seconds by the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return f"{time.perf_counter() - clock:.2f} ({time.process_time() - processor:.2f})"


def measure(folder: Path) -> list[str]:
    """One cell a column of the table."""
    cells = [timed(lambda: CaptionStore(folder))]
    store, every = CaptionStore(folder), Everything()
    cells.append(timed(lambda: frequencies(store.captions)))
    cells.append(timed(lambda: store.selected(Filtered("hat and not (tag 1* or tag 2)"))))
    cells.append(timed(lambda: store.preview(Replace("hat", "cap"), every)))
    cells.append(timed(lambda: store.apply(Replace("hat", "cap"), every)))
    cells.append(timed(lambda: store.apply(ReplacePattern(r"^tag (\d+)$", r"thing \1"), every)))
    cells.append(timed(store.undo))
    cells.append(timed(lambda: CaptionStore(folder)))
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000])
    args = parser.parse_args()
    columns = ("captions", "read", "list", "filter", "preview", "replace", "regex", "undo", "restart")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for count in args.counts:
        with tempfile.TemporaryDirectory() as scratch:
            write_set(Path(scratch), count)
            print(f"| {count} | {' | '.join(measure(Path(scratch)))} |", flush=True)


if __name__ == "__main__":
    main()
