"""The recipe: the only file that knows the order of the stages, from a folder of images to a chosen epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from lora_trainer.adapter.base import merged
from lora_trainer.checkpoint.adopt import adopt
from lora_trainer.checkpoint.encoders import Encoders
from lora_trainer.checkpoint.family import Family, family_of
from lora_trainer.checkpoint.precision import choose, choose_device, fast_maths, place, release_memory
from lora_trainer.commands import Commands
from lora_trainer.comparison import Comparison, compare, prompts_for
from lora_trainer.dataset.cache import Cache
from lora_trainer.dataset.encoding import encode
from lora_trainer.dataset.examples import gather, texts_of
from lora_trainer.errors import BadSettings
from lora_trainer.events import Chosen, Event, Finished, Saved, Stage, Started, Stepped, Validated
from lora_trainer.host.protocol import Host
from lora_trainer.language import English
from lora_trainer.outputs import check_free, lora_files
from lora_trainer.picking.files import EpochFile
from lora_trainer.refusals import check_settings
from lora_trainer.run import Run
from lora_trainer.settings import Settings
from lora_trainer.training.learner import learning
from lora_trainer.training.loop import Lesson, train
from lora_trainer.training.plan import Plan
from lora_trainer.training.processes import Team
from lora_trainer.training.state import read_state


@dataclass
class Job:
    """A checked run that can begin or go on, and what it has produced so far."""

    run: Run
    plan: Plan
    host: Host
    files: dict[int, Path]  # LoRA file of each epoch that gets one
    family: Family
    language: str = English
    goes_on: bool = False  # from the state that the run folder holds
    saved: list[EpochFile] = field(default_factory=list)
    curve: list[Validated] = field(default_factory=list)
    stopped: bool = False

    @property
    def settings(self) -> Settings:
        """The run's settings."""
        return self.plan.settings

    @property
    def prompts(self) -> tuple[str, ...]:
        """Prompts of previews and grid: the user's own, or some made from the captions."""
        captions = [example.item.caption for example in self.plan.dataset.examples if not example.item.is_reg]
        return prompts_for(self.settings.samples.sample_prompts, captions, self.settings.data.trigger)

    @property
    def comparison(self) -> Comparison:
        """What there is to compare by now."""
        return Comparison(
            run=self.run,
            settings=self.settings,
            host=self.host,
            epochs=tuple(file for file in self.saved if file.path.is_file()),
            curve=tuple(self.curve),
            prompts=self.prompts,
            family=self.family,
            language=self.language,
        )

    @property
    def state(self) -> Path:
        """The file from which the training can go on."""
        return self.run.folder / "state" / "state.safetensors"


def prepare(settings: Settings, host: Host, language: str = English, team: Team | None = None) -> Job:
    """Check everything that can be checked without loading a model, and make the run folder. Raises ``UserError``."""
    family, plan, files = _planned(settings, host, team or Team())
    check_free(settings, next(iter(files.values())).parent)
    return Job(Run.create(host.paths.runs, settings), plan, host, files, family, language)


def reopen(run: Run, host: Host, language: str = English) -> Job:
    """A run that was stopped, paused or broken off, ready to go on. Raises ``UserError`` when it cannot."""
    family, plan, files = _planned(run.settings(), host, Team())
    job = Job(run, plan, host, files, family, language)
    job.goes_on = job.state.is_file()
    events = list(run.events())
    if not job.goes_on and any(isinstance(event, Stepped) for event in events):
        raise BadSettings("state_missing", name=run.id)
    for event in events:
        _note(job, event)
    return job


def _planned(settings: Settings, host: Host, team: Team) -> tuple[Family, Plan, dict[int, Path]]:
    """The checked run: its model's family, its steps, and the file of each epoch that gets one. Raises
    ``UserError``."""
    check_settings(settings)
    family = family_of(host.checkpoint(_checkpoint_path(settings)))
    plan = Plan(gather(settings.data, settings.captions, settings.training.seed), settings, team)
    saved = [epoch for epoch in range(1, plan.epochs + 1) if plan.saved(epoch)]
    return family, plan, lora_files(settings, host.paths.loras, saved)


def work(job: Job, commands: Commands) -> Iterator[Event]:
    """Train, compare and choose; yields what happens. The host is given back before the grid is drawn, and always at
    the end."""
    plan, dataset = job.plan, job.plan.dataset
    yield Started(
        name=job.settings.output.name,
        images=len(dataset.examples),
        held_out=len(dataset.held_out),
        epochs=plan.epochs,
        steps=plan.steps,
        device=choose_device(job.settings.training.device),
        checkpoint=job.host.checkpoint(_checkpoint_path(job.settings)).title,
    )
    for event in _teach(job, commands):
        _note(job, event)
        yield event
    release_memory()
    job.stopped, compared = commands.stopping_after_epoch, not job.settings.grid.grid
    if job.comparison.epochs and job.settings.grid.grid and plan.team.first and not commands.stopping_now:
        for event in compare(job.comparison, commands):
            compared |= isinstance(event, Chosen)
            yield event
    complete = compared and plan.epochs in {file.epoch for file in job.saved}
    ended = "paused" if commands.pausing else "stopped"
    over = complete if commands.pausing else not job.stopped  # a pause that came too late is none
    yield Finished(outcome="finished" if over else ended, report=_report_of(job))


def _teach(job: Job, commands: Commands) -> Iterator[Event]:
    settings, plan = job.settings, job.plan
    with ExitStack() as borrowed:
        device = borrowed.enter_context(job.host.exclusive(settings.training.device))
        precision = choose(device, settings.training.mixed_precision)
        yield Stage(stage="loading", total=1)
        cache = job.host.paths.runs.parent / "cache"  # keyed by content, so all runs share it
        parts = adopt(job.host.checkpoint(_checkpoint_path(settings)), cache, settings.loss)
        place(parts, precision)
        borrowed.enter_context(fast_maths(precision.device))
        borrowed.enter_context(merged(parts, settings.network))

        examples = plan.dataset.examples
        yield Stage(stage="caching", total=len(examples))
        texts = [] if _learns_text(settings) else texts_of(plan.dataset, settings.captions, settings.training.seed)
        encoders = Encoders(parts, settings.captions)
        encoded = yield from encode(examples, encoders, Cache(cache), commands, texts=texts)
        if encoded is None:
            return

        yield Stage(stage="training", total=plan.steps)
        learner = borrowed.enter_context(learning(parts, precision, settings, plan.steps, plan.team))
        if job.goes_on:
            state = read_state(job.state)
            if state["plan"] != plan.fingerprint:
                raise BadSettings("state_data", name=job.run.id)
            learner.resume(state)
        lesson = Lesson(
            plan=plan,
            encoded=encoded.to(precision.device),
            prompts=job.prompts,
            files=job.files,
            samples=job.run.folder / "samples",
            state=job.state,
        )
        yield from train(learner, lesson, commands)


def _learns_text(settings: Settings) -> bool:
    return bool(settings.optimizer.text_encoder_lr or settings.optimizer.text_encoder_lr2)


def _note(job: Job, event: Event) -> None:
    if isinstance(event, Saved) and not event.step:
        job.saved.append(EpochFile(event.epoch, Path(event.path)))
    if isinstance(event, Validated):
        job.curve.append(event)


def _checkpoint_path(settings: Settings) -> Path | None:
    return Path(settings.output.checkpoint) if settings.output.checkpoint else None


def _report_of(job: Job) -> str:
    return "report.html" if (job.run.folder / "report.html").is_file() else ""
