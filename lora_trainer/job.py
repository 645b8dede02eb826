"""The recipe: the only file that knows the order of the stages, from a folder of images to a chosen epoch."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from lora_trainer.checkpoint.adopt import adopt
from lora_trainer.checkpoint.encoders import Encoders
from lora_trainer.checkpoint.family import Family, family_of
from lora_trainer.checkpoint.precision import choose, choose_device, fast_maths, place
from lora_trainer.commands import Commands
from lora_trainer.comparison import Comparison, compare, prompts_for
from lora_trainer.dataset.cache import Cache
from lora_trainer.dataset.encoding import Example, encode, placed
from lora_trainer.dataset.loader import split, steps_per_epoch
from lora_trainer.dataset.scan import scan
from lora_trainer.errors import BadSettings
from lora_trainer.events import Event, Finished, Saved, Stage, Started, Validated
from lora_trainer.host.protocol import Host
from lora_trainer.language import English
from lora_trainer.picking.files import EpochFile, check_name, lora_name
from lora_trainer.run import Run
from lora_trainer.settings import Settings
from lora_trainer.training.learner import learning
from lora_trainer.training.loop import Lesson, train


@dataclass
class Job:
    """A checked run that can begin, and what it has produced so far."""

    run: Run
    settings: Settings
    host: Host
    examples: list[Example]  # the held-out ones last
    held_out: int
    files: dict[int, Path]  # LoRA file of each epoch
    family: Family
    language: str = English
    saved: list[EpochFile] = field(default_factory=list)
    curve: list[Validated] = field(default_factory=list)
    stopped: bool = False

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        learnt = self.examples[: len(self.examples) - self.held_out]
        repeats = [example.item.repeats for example in learnt]
        return self.settings.training.epochs * steps_per_epoch(
            [example.bucket for example in learnt], repeats, self.settings.data.batch_size
        )

    @property
    def prompts(self) -> tuple[str, ...]:
        """Prompts of previews and grid: the user's own, or some made from the captions."""
        captions = [example.item.caption for example in self.examples]
        return prompts_for(self.settings.samples.sample_prompts, captions, self.settings.data.trigger)

    @property
    def comparison(self) -> Comparison:
        """What there is to compare by now."""
        return Comparison(
            run=self.run,
            settings=self.settings,
            host=self.host,
            epochs=tuple(self.saved),
            curve=tuple(self.curve),
            prompts=self.prompts,
            family=self.family,
            language=self.language,
        )


def prepare(settings: Settings, host: Host, language: str = English) -> Job:
    """Check everything that can be checked without loading a model, and make the run folder. Raises ``UserError``."""
    check_name(settings.output.name)
    if not settings.data.trigger.strip():
        raise BadSettings("trigger_empty", field="trigger")
    if settings.optimizer.unet_lr == 0 and settings.optimizer.text_encoder_lr == 0:
        raise BadSettings("nothing_to_train", field="unet_lr")
    choose(choose_device(settings.training.device), settings.training.mixed_precision)
    family = family_of(host.checkpoint(_checkpoint_path(settings)))
    items = scan(settings.data)
    learnt, held_out = split(items, settings.data.validation_split, settings.training.seed)
    files = _lora_files(settings, host)
    run = Run.create(host.paths.runs, settings)
    examples = placed([*learnt, *held_out], settings.data)
    return Job(run, settings, host, examples, len(held_out), files, family, language)


def work(job: Job, commands: Commands) -> Iterator[Event]:
    """Train, compare and choose; yields what happens. The host is given back before the grid is drawn, and always at
    the end."""
    device = choose_device(job.settings.training.device)
    yield Started(
        name=job.settings.output.name,
        images=len(job.examples),
        held_out=job.held_out,
        epochs=job.settings.training.epochs,
        steps=job.steps,
        device=device,
        checkpoint=job.host.checkpoint(_checkpoint_path(job.settings)).title,
    )
    for event in _teach(job, commands):
        _note(job, event)
        yield event
    job.stopped = commands.stopping_after_epoch
    if job.saved and job.settings.grid.grid and not commands.stopping_now:
        yield from compare(job.comparison, commands)
    yield Finished(outcome="stopped" if job.stopped else "finished", report=_report_of(job))


def _teach(job: Job, commands: Commands) -> Iterator[Event]:
    settings = job.settings
    with ExitStack() as borrowed:
        precision = choose(
            borrowed.enter_context(job.host.exclusive(settings.training.device)), settings.training.mixed_precision
        )
        yield Stage(stage="loading", total=1)
        parts = adopt(job.host.checkpoint(_checkpoint_path(settings)), scratch=_shared_cache(job))
        place(parts, precision)
        borrowed.enter_context(fast_maths(precision.device))

        yield Stage(stage="caching", total=len(job.examples))
        encoded = yield from encode(
            job.examples,
            Encoders(parts),
            Cache(_shared_cache(job)),
            commands,
            texts=settings.optimizer.text_encoder_lr == 0,
        )
        if encoded is None:
            return

        yield Stage(stage="training", total=job.steps)
        learner = borrowed.enter_context(learning(parts, precision, settings, job.steps))
        lesson = Lesson(
            settings=settings,
            examples=job.examples,
            held_out=job.held_out,
            encoded=encoded.to(precision.device),
            prompts=job.prompts,
            files=job.files,
            samples=job.run.folder / "samples",
        )
        yield from train(learner, lesson, commands)


def _note(job: Job, event: Event) -> None:
    if isinstance(event, Saved):
        job.saved.append(EpochFile(event.epoch, Path(event.path)))
    if isinstance(event, Validated):
        job.curve.append(event)


def _checkpoint_path(settings: Settings) -> Path | None:
    return Path(settings.output.checkpoint) if settings.output.checkpoint else None


def _shared_cache(job: Job) -> Path:
    """Latents, embeddings and CLIP's vocabulary: keyed by content, so all runs share them."""
    return job.host.paths.runs.parent / "cache"


def _report_of(job: Job) -> str:
    return "report.html" if (job.run.folder / "report.html").is_file() else ""


def _lora_files(settings: Settings, host: Host) -> dict[int, Path]:
    """The numbered file of every epoch. Raises ``BadSettings`` when one is there already or the folder cannot be
    written."""
    folder = Path(settings.output.out) if settings.output.out else host.paths.loras
    name = settings.output.name
    taken = sorted(folder.glob(f"{glob.escape(name)}-[0-9]*.safetensors")) if folder.is_dir() else []
    if taken:
        raise BadSettings("name_taken", field="name", name=name, file=taken[0].name, folder=folder)
    probe = folder / f"{name}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise BadSettings("out_unwritable", field="out", folder=folder, reason=error.strerror or error) from error
    return {epoch: folder / f"{lora_name(name, epoch)}.safetensors" for epoch in range(1, settings.training.epochs + 1)}
