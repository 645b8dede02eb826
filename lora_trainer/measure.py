"""The loss of finished LoRA files on a set of images, measured as during training: for files whose run is not at
hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lora_trainer.adapter.inject import eject
from lora_trainer.adapter.kohya import load_lora
from lora_trainer.checkpoint.adopt import adopt
from lora_trainer.checkpoint.encoders import Encoders
from lora_trainer.checkpoint.precision import choose, place
from lora_trainer.commands import Commands
from lora_trainer.dataset.cache import Cache
from lora_trainer.dataset.encoding import encode, placed
from lora_trainer.dataset.scan import scan
from lora_trainer.events import Event, Stage, Validated
from lora_trainer.host.protocol import Host
from lora_trainer.picking.files import EpochFile
from lora_trainer.run import all_runs
from lora_trainer.settings import Settings
from lora_trainer.training.learner import Model
from lora_trainer.training.validation import mean_loss


def measure(epochs: Sequence[EpochFile], settings: Settings, host: Host) -> Iterator[Event]:
    """Measure the base model (epoch 0) and every file on all images of the settings; none may have been learnt from."""
    examples = placed(scan(settings.data), settings.data)
    checkpoint = Path(settings.output.checkpoint) if settings.output.checkpoint else None
    with host.exclusive(settings.training.device) as device:
        precision = choose(device, settings.training.mixed_precision)
        cache = host.paths.runs.parent / "cache"
        parts = adopt(host.checkpoint(checkpoint), scratch=cache)
        place(parts, precision)
        encoded = yield from encode(examples, Encoders(parts), Cache(cache), Commands())
        if encoded is None:
            return
        yield Stage(stage="picking", total=len(epochs) + 1)
        model, numbers = Model(parts, precision), list(range(len(examples)))
        for epoch in (None, *epochs):
            if epoch is not None:
                load_lora(parts, epoch.path)
            loss = mean_loss(model, examples, encoded, numbers)
            yield Validated(epoch=epoch.epoch if epoch else 0, held_out=loss, train=loss)
        eject(parts.unet)
        eject(parts.text_encoder)


def recorded(epochs: Sequence[EpochFile], runs: Path) -> tuple[Validated, ...]:
    """The losses that a run under ``runs`` recorded while it wrote these files; empty when none did."""
    wanted = {str(file.path) for file in epochs}
    for run in all_runs(runs):
        lines = list(run.lines())
        if wanted & {line["path"] for line in lines if line.get("kind") == "saved"}:
            return tuple(event for event in run.events() if isinstance(event, Validated))
    return ()
