"""The whole forecast of a run, from what the user has set: which preset counts, what the run takes, what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lora_trainer.comparison import MOST_PROMPTS
from lora_trainer.dataset.checks.balance import balance
from lora_trainer.dataset.examples import Dataset, gather
from lora_trainer.errors import BadDataset, BadSettings, UserError
from lora_trainer.forecast import disk, memory
from lora_trainer.forecast.machine import Machine, machine
from lora_trainer.forecast.model import Model, model_of
from lora_trainer.forecast.naming import free_name
from lora_trainer.forecast.pace import Pace, measured, rough
from lora_trainer.forecast.unusual import Case, unusual
from lora_trainer.forecast.wording import room_text, time_text
from lora_trainer.host.protocol import Host
from lora_trainer.language import English
from lora_trainer.outputs import check_untaken, lora_folder
from lora_trainer.presets.composing import Known, Preset, compose, find_built_in
from lora_trainer.presets.differences import MEMORIES, PROCESSOR
from lora_trainer.presets.own import OwnPresets, differing
from lora_trainer.refusals import refusals
from lora_trainer.run import all_runs
from lora_trainer.settings import Settings, fields, from_flat, to_flat
from lora_trainer.training.plan import Plan

AUTO = "auto"
UNKNOWN_FAMILY = "SD1"  # while no checkpoint can be told


@dataclass(frozen=True)
class Wanted:
    """What the user has set: a goal, a preset or ``auto``, and the settings that differ from it.

    ``images`` are those that a preset counts, ``title`` is what a LoRA without a name is called by, ``taken`` are
    names of runs that wait. ``dataset`` tells what a run would learn from, quicker than by decoding every image.
    """

    goal: str
    preset: str
    settings: Mapping[str, Any]
    images: int = 0
    title: str = ""
    taken: frozenset[str] = frozenset()
    dataset: Callable[[Settings], Dataset] | None = None


@dataclass
class Outlook:
    """What a run would be."""

    preset: Preset
    settings: Settings
    model: Model | None
    machine: Machine
    problems: list[UserError] = field(default_factory=list)
    dataset: Dataset = field(default_factory=lambda: Dataset([], []))
    pace: Pace | None = None

    @property
    def plan(self) -> Plan:
        """The run as steps."""
        return Plan(self.dataset, self.settings)

    @property
    def steps(self) -> int:
        """Optimizer steps; 0 without images."""
        return self.plan.steps if self.dataset.learnt else 0


class Planner:
    """Makes outlooks on ``host``."""

    def __init__(self, host: Host, presets: OwnPresets) -> None:
        self.host, self.presets = host, presets

    def model(self, settings: Mapping[str, Any]) -> Model:
        """The checkpoint that would be trained on. Raises ``UserError``."""
        path = settings.get("checkpoint")
        return model_of(self.host.checkpoint(Path(path) if path else None))

    def preset(self, wanted: Wanted, model: Model | None, there: Machine) -> Preset:
        """The preset that counts, fitted to checkpoint and images. Raises ``Unknown``."""
        known = known_of(model, wanted.images)
        if wanted.preset == AUTO:
            return automatic(wanted.goal, model, there, known)
        built_in = find_built_in(wanted.preset)
        if built_in is None:
            return self.presets.find(wanted.preset)
        same = model is not None and built_in.family == model.family
        return find_built_in(wanted.preset, known if same else Known(images=wanted.images)) or built_in

    def outlook(self, wanted: Wanted) -> Outlook:
        """Everything about the run. Raises ``UserError`` only for what makes it no settings at all."""
        problems: list[UserError] = []
        model: Model | None = None
        try:
            model = self.model(wanted.settings)
        except UserError as error:
            problems.append(error)
        there = machine(str(wanted.settings.get("device", "auto")), model.shared if model else 0)
        preset = self.preset(wanted, model, there)
        settings = from_flat({**preset.values, **wanted.settings})
        folder = lora_folder(settings, self.host.paths.loras)
        if not settings.output.name:
            settings = from_flat({**to_flat(settings), "name": free_name(wanted.title, folder, wanted.taken)})
        outlook = Outlook(preset, settings, model, there, problems)
        outlook.problems += refusals(settings)
        for check in (self._gather, self._check_name):
            try:
                check(outlook, wanted)
            except UserError as error:
                problems.append(error)
        if model and outlook.dataset.learnt:
            outlook.pace = self._pace(outlook, model)
        return outlook

    def _gather(self, outlook: Outlook, wanted: Wanted) -> None:
        settings = outlook.settings
        if not wanted.images:
            raise BadDataset("plan_no_images", field="images")
        known = wanted.dataset
        outlook.dataset = known(settings) if known else gather(settings.data, settings.captions, settings.training.seed)

    def _check_name(self, outlook: Outlook, wanted: Wanted) -> None:
        name = outlook.settings.output.name
        if name in wanted.taken:
            raise BadSettings("name_waits", field="name", name=name)
        check_untaken(outlook.settings, lora_folder(outlook.settings, self.host.paths.loras))

    def _pace(self, outlook: Outlook, model: Model) -> Pace:
        known = measured(all_runs(self.host.paths.runs), outlook.settings, model, outlook.machine.device)
        prompts = prompts_of(outlook)
        return known or rough(outlook.settings, model, outlook.machine, len(outlook.dataset.held_out), prompts)


def known_of(model: Model | None, images: int) -> Known:
    """What presets are fitted to."""
    return Known(model.resolution, model.tiny, images) if model else Known(images=images)


def automatic(goal: str, model: Model | None, there: Machine, known: Known) -> Preset:
    """The largest preset whose memory is there; the smallest where none fits."""
    family = model.family if model else UNKNOWN_FAMILY
    if there.free is None or model is None:
        return compose(goal, family, PROCESSOR, known)
    cards = [compose(goal, family, size, known) for size in MEMORIES if size != PROCESSOR]
    fitting = [preset for preset in cards if memory.needed(model, preset.settings()) <= there.free]
    return fitting[-1] if fitting else cards[0]


def prompts_of(outlook: Outlook) -> int:
    """How many prompts previews and grid have."""
    own = len(outlook.settings.samples.sample_prompts)
    return own or min(MOST_PROMPTS, 1 + len({example.item.caption for example in outlook.dataset.learnt}))


def cells_of(outlook: Outlook) -> int:
    """How many pictures the grid has."""
    grid = outlook.settings.grid
    if not grid.grid or not outlook.dataset.learnt:
        return 0
    epochs = min(grid.grid_epochs, len(files_of(outlook)))
    return prompts_of(outlook) * (1 + epochs * len(grid.grid_weights))


def between_epochs(outlook: Outlook) -> int:
    """How many previews are drawn within the epochs."""
    every = outlook.settings.samples.sample_every_n_steps
    return prompts_of(outlook) * (outlook.steps // every) if every else 0


def files_of(outlook: Outlook) -> list[int]:
    """The epochs that get a file."""
    plan = outlook.plan
    return [epoch for epoch in range(1, plan.epochs + 1) if plan.saved(epoch)]


def seconds_of(outlook: Outlook) -> float | None:
    """Seconds of the whole run; None where it cannot be told."""
    if outlook.pace is None:
        return None
    count = len(outlook.dataset.examples)
    cells = cells_of(outlook) + between_epochs(outlook)
    return outlook.pace.total(outlook.steps, outlook.plan.epochs, cells, count)


def rooms_of(outlook: Outlook, runs: Path) -> dict[str, dict[str, int] | None]:
    """Bytes that are needed and free: in the card's memory (None on a processor), and on the disk of ``runs``."""
    model, settings, free = outlook.model, outlook.settings, outlook.machine.free
    if model is None:
        return {"memory": None, "disk": None}
    captions = settings.captions
    varied = captions.shuffle_caption or captions.caption_tag_dropout_rate
    examples, texts = len(outlook.dataset.examples), captions.caption_variants if varied else 1
    files = len(files_of(outlook)) if outlook.dataset.learnt else 0
    kept = min(files, settings.output.save_last_n_epochs or files)
    previews = outlook.plan.epochs * prompts_of(outlook) + between_epochs(outlook) if files else 0
    pictures = cells_of(outlook) * 2 + previews  # the sheet holds them once more
    need = disk.needed(model, settings, disk.Size(examples, examples * texts, kept, pictures))
    return {
        "memory": None if free is None else {"need": memory.needed(model, settings), "free": free},
        "disk": {"need": need, "free": disk.free(runs)},
    }


def told(outlook: Outlook, runs: Path, language: str = English) -> dict[str, Any]:
    """The outlook as the page shows it, with sentences in ``language``."""
    rooms, seconds, preset = rooms_of(outlook, runs), seconds_of(outlook), outlook.preset
    texts = {kind: room_text(kind, room["need"], room["free"], language) for kind, room in rooms.items() if room}
    if seconds is not None and outlook.pace is not None:
        texts["time"] = time_text(seconds, outlook.pace.measured, language)
    values = to_flat(outlook.settings)
    case = Case(outlook.settings, outlook.dataset, outlook.steps, outlook.model)
    return {
        "preset": {"id": preset.id, "title": preset.title(language)},
        "reasons": preset.why(language),
        "values": values,
        "base": {name: preset.values.get(name, fields()[name][1].default) for name in fields()},
        "sentence": balance(outlook.dataset, outlook.settings).sentence(language) if outlook.dataset.learnt else "",
        "images": len(outlook.dataset.examples),
        "steps": outlook.steps,
        "seconds": None if seconds is None else round(seconds),
        "family": outlook.model.family if outlook.model else None,
        **rooms,
        "texts": {"time": "", "memory": "", "disk": "", **texts},
        "unusual": unusual(case, language) if outlook.dataset.learnt else [],
        "problems": [{"field": e.field, "key": e.key, "message": e.text(language)} for e in outlook.problems],
    }


def changed_from(preset: Preset, settings: Mapping[str, Any]) -> list[str]:
    """The names of the settings that differ from the preset's."""
    before = {**{name: fields()[name][1].default for name in settings}, **preset.values}
    return [name for name, value in settings.items() if before.get(name) != value]


def own_values(settings: Settings) -> dict[str, Any]:
    """All settings that differ from the defaults."""
    return differing(to_flat(settings))
