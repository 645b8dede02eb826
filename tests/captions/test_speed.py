"""A thousand captions are replaced in a second; ten thousand are read, edited and undone without failing.

Processor time is measured, not the clock's: other work on the machine must not fail the test.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lora_trainer.captions.counting import frequencies
from lora_trainer.captions.operations import Replace
from lora_trainer.captions.selection import Everything, Filtered
from lora_trainer.captions.store import CaptionStore

from .folders import fill


def timed(folder: Path, count: int) -> float:
    """Seconds of a replace over ``count`` captions of 20 tags, with everything around it done as well."""
    texts = {
        f"{number:05d}": f"hat, tag {number}, " + ", ".join(f"word {k}" for k in range(18)) for number in range(count)
    }
    store = fill(folder, texts)
    started = time.process_time()
    assert store.preview(Replace("hat", "cap"), Filtered("hat")).images == count
    outcome = store.apply(Replace("hat", "cap"), Everything())
    seconds = time.process_time() - started
    assert (outcome.images, outcome.refused) == (count, ())
    assert frequencies(store.captions)[0].tag == "cap"
    assert (folder / f"{count - 1:05d}.txt").read_text().startswith(f"cap, tag {count - 1}, ")
    again = CaptionStore(folder)
    assert again.undo() is not None
    assert (folder / f"{count - 1:05d}.txt").read_text() == texts[f"{count - 1:05d}"]
    return seconds


def test_a_thousand(tmp_path: Path) -> None:
    assert timed(tmp_path, 1000) <= 1.0


@pytest.mark.slow
def test_ten_thousand(tmp_path: Path) -> None:
    assert timed(tmp_path, 10_000) <= 10.0
