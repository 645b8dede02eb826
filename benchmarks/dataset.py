"""A large set: ``python -m benchmarks.dataset [--images 1000]``.

Draws that many pictures of 768 × 768, all different, half of them PNG and half JPEG, with captions; measures and checks
them as ``python -m lora_trainer dataset check`` does, then again as after a small change. Prints times and the peak of
memory. The target is 30 s and 1 GB for 1,000 images on two cores.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lora_trainer.dataset.checks import Brief, check, doctor, survey
from lora_trainer.settings import CaptionSettings, DataSettings

SIDE = 768


def draw(number: int, folder: Path) -> None:
    """A picture like a painting: smooth grounds, shapes, and grain that files cannot shrink away."""
    numbers = np.random.default_rng(number)
    ground = Image.fromarray(numbers.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((SIDE, SIDE), 3)
    brush = ImageDraw.Draw(ground)
    for _ in range(60):
        x, y, wide, high = (int(value) for value in numbers.integers(0, SIDE, 4))
        shape = brush.ellipse if numbers.random() < 0.5 else brush.rectangle
        shape((x, y, x + wide // 4, y + high // 4), fill=tuple(int(value) for value in numbers.integers(0, 256, 3)))
    grain = numbers.normal(0, 4, (SIDE, SIDE, 1))
    picture = Image.fromarray((np.asarray(ground) + grain).clip(0, 255).astype(np.uint8))
    path = folder / f"{number:05}.{'png' if number % 2 else 'jpg'}"
    picture.save(path, **({"compress_level": 3} if number % 2 else {"quality": 92}))
    path.with_suffix(".txt").write_text(f"myword, painting, number {number}, shapes", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000, help="how many images (default: %(default)s)")
    parser.add_argument("--resolution", type=int, default=512, help="target resolution (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to draw them, to use them again; a temporary one without it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(2) as pool:
            missing = [n for n in range(args.images) if not any(folder.glob(f"{n:05}.[pj]*"))]
            list(pool.map(partial(draw, folder=folder), missing, chunksize=8))
        data = DataSettings(images=str(folder), resolution=args.resolution, trigger="myword")
        brief = Brief(data, CaptionSettings())

        started, used = time.monotonic(), time.process_time()
        found = survey(data, CaptionSettings())
        scanned, checks = time.monotonic(), {}
        for one in doctor.CHECKS:
            begun = time.monotonic()
            list(one(found, brief))
            checks[f"{one.__module__.split('.')[-1]}.{one.__name__}"] = time.monotonic() - begun
        done, used = time.monotonic(), time.process_time() - used
        again = check(survey(data, CaptionSettings(), known=found.known), brief)
        slowest = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in checks.items() if seconds >= 0.1)
        print(
            f"{len(found.images)} images of {SIDE} × {SIDE}: scan {scanned - started:.1f} s, checks "
            f"{done - scanned:.1f} s ({slowest}), together {done - started:.1f} s ({used:.1f} s of processor)\n"
            f"again with nothing changed: {time.monotonic() - done:.1f} s; findings: {len(again)}\n"
            f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, libraries included"
        )


if __name__ == "__main__":
    main()
