"""The WebUI as a host: its loaded checkpoint, its queue, its pictures, its LoRA folder."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modules import sd_models, shared

from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.events import Event, Started, to_dict
from lora_trainer.host import compat, webui_options
from lora_trainer.host.protocol import ImageRequest, LoraCard, Paths, Picture
from lora_trainer.host.webui_drawing import check_callable, draw
from lora_trainer.host.webui_model import (
    borrowed,
    known_checkpoint,
    live_checkpoint,
    live_model,
    same_file,
    training_device,
)
from lora_trainer.host.webui_taggers import installed
from lora_trainer.host.webui_turn import Turn
from lora_trainer.language import translate
from lora_trainer.status import Status
from lora_trainer.tagging.tagger import Tagger

log = logging.getLogger(__name__)


class WebUIHost:
    """Implements ``Host`` on AUTOMATIC1111's WebUI. One for the process; all methods may be called from any thread."""

    def __init__(self) -> None:
        self._turn = Turn()
        self._status = Status()
        self._runs = webui_options.runs()
        # The file that this thread's run trains on: its pictures are drawn on it, whatever the user selects meanwhile.
        self._trained = threading.local()

    @property
    def paths(self) -> Paths:
        """The WebUI's folders, or those that the user chose; that of the runs counts from the next start on."""
        return Paths(
            loras=webui_options.loras(),
            runs=self._runs,
            checkpoints=Path(shared.cmd_opts.ckpt_dir or sd_models.model_path).absolute(),
            faces=compat.face_folders(),
        )

    def checkpoint(self, path: Path | None = None) -> Checkpoint:
        """The loaded checkpoint by reference; another file of the WebUI's, opened, where ``path`` names one."""
        if path is None or same_file(Path(live_model().sd_checkpoint_info.filename), path):
            found, file = live_checkpoint(), live_model().sd_checkpoint_info.filename
        else:
            file = known_checkpoint(path).filename
            found = open_checkpoint(path)
        if self._turn.mine:
            self._trained.file = file
        return found

    @contextmanager
    def exclusive(self, device: str = "auto") -> Iterator[str]:
        """Wait for our turn, have the model without merged LoRAs, yield the device; give all back, whatever happens."""
        chosen = training_device(device)
        with self._turn.taken(), borrowed(live_model()):
            yield chosen

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for our turn in the WebUI's queue."""
        with self._turn.taken():
            yield

    def taggers(self) -> list[Tagger]:
        """The tagger extension's models, deepbooru and BLIP."""
        return installed(self._turn)

    def generate(self, requests: Sequence[ImageRequest]) -> Iterator[Picture]:
        """Draw in order, in one turn, through txt2img; what was skipped is drawn again. Ends early when asked to."""
        for lora in {request.lora for request in requests if request.lora is not None}:
            check_callable(lora)
        with self._turn.taken():
            shared.state.job_count = len(requests)
            for number, request in enumerate(requests, 1):
                shared.state.textinfo = translate("webui.grid", compat.language(), number=number, total=len(requests))
                while (image := draw(request, getattr(self._trained, "file", None))) is None:
                    if self._turn.stopped():
                        return
                yield Picture(image, request)
                if self._turn.stopped():
                    return

    def publish(self, lora: Path, card: LoraCard) -> None:
        """Write the card beside ``lora`` and have the WebUI list the file."""
        from lora_trainer.host.standalone import write_card  # brings diffusers, which the WebUI may lack at its start

        write_card(lora, card)
        if (networks := compat.lora_extension()) is not None:
            networks.list_available_networks()

    def report(self, event: Event) -> None:
        """Show an event of the run in the WebUI's progress bar while the turn is ours."""
        try:
            if isinstance(event, Started):
                self._status = Status()
            self._status.follow(to_dict(event))
            if self._turn.mine and self._status.stage != "grid":  # drawing, the WebUI counts by itself
                self._turn.show(self._status)
        except Exception:
            log.exception("the progress bar could not show %r", event)

    def interrupted(self) -> bool:
        """Whether a stop button of the WebUI was pressed while the turn is ours."""
        return self._turn.asked_to_stop()

    def page_closes(self) -> None:
        """The WebUI takes its page down to build it anew; a run goes on."""
        self._turn.page_closes()

    def page_opens(self) -> None:
        """The page is there."""
        self._turn.page_opens()
