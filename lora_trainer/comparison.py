"""After training, or on any folder of LoRA files: draw the grid, choose a cell, write the report, hand the choice to
the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lora_trainer.checkpoint.family import Family
from lora_trainer.commands import Commands
from lora_trainer.events import Chosen, Compared, Event, Previewed, Stage, Started, Stepped, Validated
from lora_trainer.host.protocol import Host, ImageRequest
from lora_trainer.language import English
from lora_trainer.picking.cards import lora_card
from lora_trainer.picking.choice import Choice, candidates, choose, write_choice
from lora_trainer.picking.files import EpochFile
from lora_trainer.picking.plan import GridPlan, check_size, spread
from lora_trainer.picking.render import Grid, load_grid, render
from lora_trainer.picking.report import PreviewPicture, ReportData, SavedFile, write_report
from lora_trainer.picking.sheet import write_sheet
from lora_trainer.run import Run
from lora_trainer.settings import Settings, to_flat

MOST_PROMPTS = 4


@dataclass(frozen=True)
class Comparison:
    """What is compared: the epochs' files, what the losses say of them, and where everything goes."""

    run: Run
    settings: Settings
    host: Host
    epochs: tuple[EpochFile, ...]
    curve: tuple[Validated, ...]
    prompts: tuple[str, ...]
    family: Family
    language: str = English

    @property
    def folder(self) -> Path:
        """The grid's folder."""
        return self.run.folder / "grid"


def prompts_for(own: Sequence[str], captions: Sequence[str], trigger: str) -> tuple[str, ...]:
    """The prompts of previews and grid: the user's ``own``, or the trigger with what the captions vary.

    Made ones are the trigger alone and up to three captions that have least in common with one another.
    """
    if own:
        return tuple(own)
    chosen = [trigger]
    while len(chosen) < MOST_PROMPTS and (rest := sorted(set(captions) - set(chosen))):
        chosen.append(min(rest, key=lambda caption: max(_likeness(caption, other) for other in chosen)))
    return tuple(chosen)


def _likeness(one: str, other: str) -> float:
    """Share of tags that two captions have in common, 0 ... 1."""
    a, b = set(one.split(", ")), set(other.split(", "))
    return len(a & b) / max(1, len(a | b))


def plan_for(comparison: Comparison) -> GridPlan:
    """The grid of the settings' weights and at most their number of epochs. Raises ``BadSettings`` when it would be
    too big."""
    settings = comparison.settings
    samples, resolution = settings.samples, settings.data.resolution
    template = ImageRequest(
        prompt="",
        negative_prompt=samples.negative_prompt,
        steps=samples.sample_steps,
        cfg_scale=samples.cfg_scale,
        width=samples.sample_width or resolution,
        height=samples.sample_height or resolution,
    )
    plan = GridPlan(
        epochs=spread(comparison.epochs, settings.grid.grid_epochs, keep=_pick(comparison).epoch),
        weights=settings.grid.grid_weights,
        prompts=comparison.prompts,
        seeds=(samples.sample_seed,),
        template=template,
    )
    check_size(plan)
    return plan


def compare(comparison: Comparison, commands: Commands) -> Iterator[Event]:
    """Draw the grid cell by cell, choose, and publish the choice."""
    plan = plan_for(comparison)
    yield Stage(stage="grid", total=len(plan.cells()))
    for progress in render(plan, comparison.host, comparison.folder):
        yield progress
        if commands.stopping_now:
            return
    grid = load_grid(comparison.folder)
    yield Stage(stage="picking", total=1)
    choice = _pick(comparison)
    write_choice(comparison.folder, choice)
    sheet = write_sheet(grid, comparison.folder / "sheet.png", (choice.epoch, choice.weight))
    yield Compared(sheet=sheet.relative_to(comparison.run.folder).as_posix(), cells=len(grid.pictures))
    yield publish(comparison, grid, choice)


def pick(files: Sequence[EpochFile], weights: Sequence[float], curve: Sequence[Validated]) -> Choice:
    """The choice among the files at these weights, from what the losses tell."""
    return choose(candidates([file.epoch for file in files], weights, curve))


def _pick(comparison: Comparison) -> Choice:
    return pick(comparison.epochs, comparison.settings.grid.grid_weights, comparison.curve)


def publish(comparison: Comparison, grid: Grid, choice: Choice) -> Chosen:
    """Write the WebUI's card beside the chosen file and the report into the run folder."""
    language, trigger = comparison.language, comparison.settings.data.trigger
    lora = next(file for file in comparison.epochs if file.epoch == choice.epoch)
    reasons = tuple(reason.text(language) for reason in choice.reasons)
    cover = next(
        (p for cell, p in grid.pictures.items() if (cell.epoch, cell.weight) == (choice.epoch, choice.weight)), None
    )
    card = lora_card(trigger, choice.weight, comparison.family.card_version, language)
    comparison.host.publish(lora.path, replace(card, notes=" ".join(reasons), preview=cover))
    write_report(comparison.run.folder / "report.html", _report(comparison, choice, lora, cover))
    return Chosen(epoch=choice.epoch, weight=choice.weight, lora=str(lora.path), reasons=reasons)


def _report(comparison: Comparison, choice: Choice, lora: EpochFile, cover: Path | None) -> ReportData:
    events = list(comparison.run.events())
    folder = comparison.run.folder
    return ReportData(
        name=comparison.settings.output.name,
        language=comparison.language,
        trigger=comparison.settings.data.trigger,
        lora=lora.lora,
        choice=choice,
        cover=cover,
        started=next((event for event in events if isinstance(event, Started)), None),
        steps=[event for event in events if isinstance(event, Stepped)],
        curve=comparison.curve,
        sheet=folder / "grid" / "sheet.png",
        previews=[PreviewPicture(e.epoch, e.prompt, folder / e.path) for e in events if isinstance(e, Previewed)],
        settings=to_flat(comparison.settings),
        files=[SavedFile(file.epoch, file.path.name, file.path.stat().st_size) for file in comparison.epochs],
    )
