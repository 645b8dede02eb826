"""The grid and the pick for any folder of LoRA files, ours or kohya's, without a run of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lora_trainer.checkpoint.family import family_of
from lora_trainer.commands import Commands
from lora_trainer.comparison import Comparison, compare, pick, prompts_for
from lora_trainer.errors import BadSettings
from lora_trainer.events import Compared, Event, Validated
from lora_trainer.host.protocol import Host
from lora_trainer.language import English
from lora_trainer.measure import measure, recorded
from lora_trainer.picking.choice import Choice
from lora_trainer.picking.files import EpochFile, epoch_files
from lora_trainer.run import Run
from lora_trainer.settings import Settings, changed


@dataclass
class Outcome:
    """What came of it."""

    files: list[EpochFile]
    curve: tuple[Validated, ...]
    choice: Choice
    run: Run | None = None
    sheet: str = ""

    def to_dict(self, language: str = English) -> dict[str, Any]:
        """Plain values, the reasons in ``language``."""
        chosen = next(file for file in self.files if file.epoch == self.choice.epoch)
        return {
            "state": "finished",
            "run": str(self.run.folder) if self.run else None,
            "files": [str(file.path) for file in self.files],
            "losses": [asdict(point) for point in self.curve],
            "epoch": self.choice.epoch,
            "weight": self.choice.weight,
            "lora": str(chosen.path),
            "reasons": [reason.text(language) for reason in self.choice.reasons],
            "grid": str(self.run.folder / self.sheet) if self.run and self.sheet else None,
            "report": str(self.run.folder / "report.html") if self.run else None,
        }


def compare_files(
    folder: Path, settings: Settings, host: Host, *, draw: bool, on_event: Callable[[Event], None]
) -> Outcome:
    """Choose among the epochs in ``folder``, and ``draw`` their grid first when asked to.

    Losses come from the run that wrote the files where it is found under the host's runs; else they are measured on
    the settings' images; else the choice says that it is not sure.
    """
    files = epoch_files(folder, settings.output.name or None)
    curve = recorded(files, host.paths.runs)
    if not curve and settings.data.images:
        for event in measure(files, settings, host):
            on_event(event)
            curve += (event,) if isinstance(event, Validated) else ()
    outcome = Outcome(files, curve, pick(files, settings.grid.grid_weights, curve))
    return _drawn(outcome, settings, host, on_event) if draw else outcome


def _drawn(outcome: Outcome, settings: Settings, host: Host, on_event: Callable[[Event], None]) -> Outcome:
    if not settings.data.trigger:
        raise BadSettings("trigger_empty", field="trigger")
    checkpoint = host.checkpoint(Path(settings.output.checkpoint) if settings.output.checkpoint else None)
    name = settings.output.name or outcome.files[0].lora.rpartition("-")[0] or outcome.files[0].lora
    outcome.run = Run.create(host.paths.runs, changed(settings, name=name))
    comparison = Comparison(
        run=outcome.run,
        settings=outcome.run.settings(),
        host=host,
        epochs=tuple(outcome.files),
        curve=outcome.curve,
        prompts=prompts_for(settings.samples.sample_prompts, [], settings.data.trigger),
        family=family_of(checkpoint),
    )
    for event in compare(comparison, Commands()):
        outcome.run.append(event)
        on_event(event)
        if isinstance(event, Compared):
            outcome.sheet = event.sheet
    return outcome
