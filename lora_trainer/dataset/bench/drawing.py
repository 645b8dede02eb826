"""Images drawn through the host: regularisation images of a class, or new ones of a draft LoRA to choose from."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lora_trainer.dataset.bench.naming import safe_stem
from lora_trainer.dataset.bench.notes import Made, Stop, never
from lora_trainer.dataset.repeats import MAX_REPEATS
from lora_trainer.disk import write_whole
from lora_trainer.errors import BadSettings, RunFailed
from lora_trainer.events import Event, Progress
from lora_trainer.host.protocol import Host, ImageRequest

SEEDS = 1 << 32  # that the WebUI knows


@dataclass(frozen=True, kw_only=True)
class DrawingPlan:
    """``count`` images of ``request`` with seeds from its own upwards, in kohya's folder ``repeats_words``.

    ``caption`` is written beside each (None: the prompt). With ``request.lora`` they are a draft LoRA's.
    """

    request: ImageRequest
    count: int
    words: str = ""
    repeats: int = 1
    caption: str | None = None

    @property
    def subset(self) -> str:
        """The folder's name."""
        return f"{self.repeats}_{safe_stem(self.words or self.request.prompt)}"

    def requests(self) -> dict[str, ImageRequest]:
        """What is asked for by the file that it goes to.

        A file's name carries a fingerprint of all that shapes it, so that nothing old is taken for what is wanted now.
        """
        seeds = [(self.request.seed + index) % SEEDS for index in range(self.count)]
        asked = [dataclasses.replace(self.request, seed=seed) for seed in seeds]
        return {f"{index:05}-{one.fingerprint()}.png": one for index, one in enumerate(asked, start=1)}


def draw_images(host: Host, folder: Path, plan: DrawingPlan, stop: Stop = never) -> Iterator[Event]:
    """Draw what ``folder`` lacks of the plan, each image written at once with its caption.

    Yields ``Progress`` (the first tells how many were there already) and at last ``Made``. Ends early when stopped
    here or in the host; called again, it goes on. Raises ``UserError`` where nothing can be drawn or kept.
    """
    if not (plan.request.prompt.strip() and plan.count > 0 and 1 <= plan.repeats <= MAX_REPEATS):
        raise BadSettings("draw_nothing", field="prompt")
    requests, place = plan.requests(), folder / plan.subset
    missing = {name: request for name, request in requests.items() if not (place / name).is_file()}
    done, made, broken_off = len(requests) - len(missing), list[str](), False
    yield Progress(stage="drawing", done=done, total=len(requests))
    if missing and not (broken_off := stop()):
        # Closing gives the host's turn back at once, wherever the work ends.
        with closing(_pictures(host, list(missing.values()))) as pictures:
            for name, picture in zip(missing, pictures, strict=False):
                _keep(place / name, picture, plan)
                made.append(f"{plan.subset}/{name}")
                yield Progress(stage="drawing", done=done + len(made), total=len(requests))
                if broken_off := stop() and len(made) < len(missing):
                    break
    stopped = broken_off or len(made) < len(missing)
    yield Made(images=tuple(made), known=done, outcome="stopped" if stopped else "finished")


def _pictures(host: Host, requests: list[ImageRequest]) -> Any:
    """The host's pictures, one by one, as a generator that can be closed."""
    yield from (picture.image for picture in host.generate(requests))


def _keep(file: Path, picture: Image.Image, plan: DrawingPlan) -> None:
    """Write an image after its caption. Raises ``RunFailed``."""
    caption = plan.request.prompt if plan.caption is None else plan.caption
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "PNG")
    try:
        write_whole(file.with_suffix(".txt"), caption)
        write_whole(file, buffer.getvalue())
    except OSError as error:
        raise RunFailed("draw_unwritable", folder=file.parent, reason=error.strerror) from error
