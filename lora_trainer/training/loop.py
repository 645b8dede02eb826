"""The training loop (D4): a generator of events that reads like the method. It is told to stop and knows nothing else
of the world."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lora_trainer.adapter.kohya import PRECISIONS, write_lora
from lora_trainer.adapter.layers import state_of
from lora_trainer.checkpoint.sampling import Drawing, draw_picture
from lora_trainer.checkpoint.text import Text
from lora_trainer.commands import Commands
from lora_trainer.dataset.encoded import EncodedSet
from lora_trainer.events import Event, Previewed, Saved, Stepped, Validated
from lora_trainer.settings import Settings
from lora_trainer.training.exam import Exam
from lora_trainer.training.learner import Learner
from lora_trainer.training.metadata import run_metadata
from lora_trainer.training.objective import draw, losses
from lora_trainer.training.plan import Batch, Plan, Step
from lora_trainer.training.state import write_state


@dataclass(frozen=True)
class Lesson:
    """What is learnt from, and where results go."""

    plan: Plan
    encoded: EncodedSet
    prompts: tuple[str, ...]
    files: dict[int, Path]  # LoRA file of each epoch that gets one
    samples: Path  # folder of the previews
    state: Path  # file from which the training can go on
    exams: dict[str, Exam] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The run's settings."""
        return self.plan.settings


def train(learner: Learner, lesson: Lesson, commands: Commands) -> Iterator[Event]:
    """Learn epoch by epoch; save, validate and preview after each. Ends early when commanded; finished epochs are
    always saved. A learner that has taken steps already goes on after them."""
    plan = lesson.plan
    for epoch in range(learner.done // plan.steps_per_epoch + 1, plan.epochs + 1):
        for step in plan.steps_of(epoch):
            if step.number <= learner.done:
                continue
            if learner.team.agreed(commands.stopping_now):
                keep_state(learner, lesson, commands)
                return
            started = time.perf_counter()
            with learner.own_chance(step.number):
                loss, lr = learner.step(gather_gradients(learner, lesson, step))
            seconds = time.perf_counter() - started

            yield Stepped(step=step.number, epoch=epoch, loss=loss, lr=lr, seconds=seconds)
            every = lesson.settings.output.save_every_n_steps
            if every and step.number % every == 0 and learner.team.first:
                yield save_step(learner, lesson, step)
            if wants_sample(lesson, step, commands) and learner.team.first:
                yield from sample(learner, lesson, step, commands)
        if learner.team.first:
            yield from close_epoch(learner, lesson, epoch, commands)
        if learner.team.agreed(commands.stopping_after_epoch):
            if commands.pausing:  # which may have come when the epoch's state was written already
                keep_state(learner, lesson, commands)
            return


def gather_gradients(learner: Learner, lesson: Lesson, step: Step) -> torch.Tensor:
    """Backward through this process's batches; returns its part of the step's loss, the mean over all images."""
    total = torch.zeros((), device=learner.precision.device)
    for batch in step.batches:
        if batch.shown:
            loss = batch_losses(learner, lesson, batch).sum() / step.images
            learner.learn(loss)
            total += loss.detach()
    return total


def batch_losses(learner: Learner, lesson: Lesson, batch: Batch) -> torch.Tensor:
    """(B,) losses of the images in a batch."""
    encoded, settings, device = lesson.encoded, lesson.settings, learner.precision.device
    seen = [(shown.example, shown.flipped) for shown in batch.shown]
    moments = torch.stack([encoded.latents(*one) for one in seen])
    sizes = torch.stack([encoded.sizes(*one) for one in seen])
    drawn = draw(moments, batch.numbers, settings.training.seed, settings.loss, learner.parts.noise.steps)
    factors = None
    if any(shown.is_reg for shown in batch.shown):
        prior = settings.loss.prior_loss_weight
        factors = torch.tensor([prior if shown.is_reg else 1.0 for shown in batch.shown], device=device)
    predict = learner.predict(text_of(learner, lesson, batch), sizes)
    return losses(predict, drawn, learner.objective, mask_of(encoded, seen, drawn.latents), factors)


def text_of(learner: Learner, lesson: Lesson, batch: Batch) -> Text:
    """The batch's captions: encoded anew where a text encoder learns, else cached ones."""
    captions = [shown.caption for shown in batch.shown]
    if learner.reads_text:
        return learner.text(captions)
    return Text.stack([lesson.encoded.text(caption) for caption in captions])


def mask_of(encoded: EncodedSet, seen: list[tuple[int, bool]], latents: torch.Tensor) -> torch.Tensor | None:
    """(B, 1, h, w) where each image is learnt; None when everywhere."""
    masks = [encoded.mask(*one) for one in seen]
    if all(mask is None for mask in masks):
        return None
    everywhere = latents.new_ones(1, *latents.shape[2:])
    return torch.stack([everywhere if mask is None else mask for mask in masks])


def close_epoch(learner: Learner, lesson: Lesson, epoch: int, commands: Commands) -> Iterator[Event]:
    """Save the epoch, measure it and draw its previews."""
    with learner.shown():
        if epoch in lesson.files:
            yield save(learner, lesson, epoch, lesson.files[epoch])
    keep_state(learner, lesson, commands)
    forget_old_epochs(lesson, epoch)
    with learner.shown():
        yield from validate(learner, lesson, epoch)
        yield from preview(learner, lesson, epoch, commands)


def save(learner: Learner, lesson: Lesson, epoch: int, path: Path) -> Saved:
    """Write a LoRA file of the weights as they are."""
    settings = lesson.settings
    metadata = run_metadata(lesson.plan, learner.parts, path.stem)
    tensors = state_of(learner.parts, PRECISIONS[settings.output.save_precision])
    write_lora(path, tensors, {**metadata, "ss_epoch": str(epoch), "ss_steps": str(learner.done)})
    return Saved(epoch=epoch, path=str(path))


def save_step(learner: Learner, lesson: Lesson, step: Step) -> Saved:
    """Write a file between the epochs, under kohya's name for it; it belongs to no epoch."""
    folder, name = next(iter(lesson.files.values())).parent, lesson.settings.output.name
    with learner.shown():
        saved = save(learner, lesson, step.epoch, folder / f"{name}-step{step.number:08d}.safetensors")
    return Saved(epoch=step.epoch, path=saved.path, step=step.number)


def keep_state(learner: Learner, lesson: Lesson, commands: Commands) -> None:
    """Write all that is needed to go on from here, if the settings say so, or for a pause."""
    if (commands.pausing or lesson.settings.training.save_state) and learner.team.first:
        write_state(lesson.state, {**learner.state(), "plan": lesson.plan.fingerprint})


def forget_old_epochs(lesson: Lesson, epoch: int) -> None:
    """Delete the files of all but the last epochs, where the settings say so."""
    kept = lesson.settings.output.save_last_n_epochs
    past = [path for number, path in lesson.files.items() if number <= epoch]
    for path in past[:-kept] if kept else []:
        path.unlink(missing_ok=True)


def validate(learner: Learner, lesson: Lesson, epoch: int) -> Iterator[Validated]:
    """Loss on the held-out images and on as many training images; nothing without held-out images."""
    learnt, held_out = lesson.plan.dataset.learnt, lesson.plan.dataset.held_out
    if not held_out:
        return
    exams = lesson.exams
    if not exams:  # only now, so that the first step does not wait for it
        training = [number for number, example in enumerate(learnt) if not example.item.is_reg]
        numbers = range(len(learnt), len(learnt) + len(held_out))
        exams |= {"held_out": Exam(learner, lesson.encoded, numbers)}
        exams |= {"train": Exam(learner, lesson.encoded, training[: len(held_out)])}
    if epoch == 1:
        yield Validated(epoch=0, **{name: exam.base() for name, exam in exams.items()})
    yield Validated(epoch=epoch, **{name: exam.mark() for name, exam in exams.items()})


def wants_sample(lesson: Lesson, step: Step, commands: Commands) -> bool:
    """Whether previews are drawn after a step: because they were asked for, or the settings say so. After an epoch's
    last step its own come."""
    asked, every = commands.wants_sample(), lesson.settings.samples.sample_every_n_steps
    ends = step.number == lesson.plan.steps or step.number % lesson.plan.steps_per_epoch == 0
    return asked or (every > 0 and step.number % every == 0 and not ends)


def sample(learner: Learner, lesson: Lesson, step: Step, commands: Commands) -> Iterator[Previewed]:
    """Draw the previews within an epoch. What is drawn changes nothing in what is learnt."""
    with learner.shown():
        yield from preview(learner, lesson, step.epoch, commands, step.number)


def preview(learner: Learner, lesson: Lesson, epoch: int, commands: Commands, step: int = 0) -> Iterator[Previewed]:
    """Draw the preview prompts with the LoRA as it is now, always from the same seed."""
    samples, resolution = lesson.settings.samples, lesson.settings.data.resolution
    tag = f"step-{step:08d}" if step else f"epoch-{epoch:06d}"
    for index, prompt in enumerate(lesson.prompts):
        if commands.stopping_now:
            return
        drawing = Drawing(
            prompt=prompt,
            negative_prompt=samples.negative_prompt,
            seed=samples.sample_seed,
            steps=samples.sample_steps,
            cfg_scale=samples.cfg_scale,
            width=samples.sample_width or resolution,
            height=samples.sample_height or resolution,
            clip_skip=lesson.settings.captions.clip_skip,
        )
        name = f"{tag}-{index}.png"
        draw_picture(learner.parts, drawing, learner.precision).save(lesson.samples / name)
        yield Previewed(epoch=epoch, index=index, prompt=prompt, path=f"{lesson.samples.name}/{name}", step=step)
