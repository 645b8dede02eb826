"""The training loop (D4): a generator of events that reads like the method. It is told to stop and knows nothing else
of the world."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from lora_trainer.adapter.inject import weighted
from lora_trainer.adapter.kohya import PRECISIONS, state_of, write_lora
from lora_trainer.adapter.metadata import run_metadata
from lora_trainer.checkpoint.sampling import Drawing, draw_picture
from lora_trainer.commands import Commands
from lora_trainer.dataset.encoding import EncodedSet, Example
from lora_trainer.dataset.loader import epoch_batches
from lora_trainer.events import Event, Previewed, Saved, Stepped, Validated
from lora_trainer.settings import Settings
from lora_trainer.training.learner import Learner
from lora_trainer.training.objective import draw, losses
from lora_trainer.training.validation import mean_loss


@dataclass(frozen=True)
class Lesson:
    """What is learnt from: examples with their latents and embeddings, the held-out ones last, and where results go."""

    settings: Settings
    examples: list[Example]
    held_out: int  # how many of the last examples
    encoded: EncodedSet
    prompts: tuple[str, ...]
    files: dict[int, Path]  # LoRA file of each epoch
    samples: Path  # folder of the previews

    @property
    def learnt(self) -> int:
        """How many of the first examples are learnt from."""
        return len(self.examples) - self.held_out


def train(learner: Learner, lesson: Lesson, commands: Commands) -> Iterator[Event]:
    """Learn epoch by epoch; save, validate and preview after each. Ends early when commanded; finished epochs are
    always saved."""
    generator = torch.Generator().manual_seed(lesson.settings.training.seed)
    step = 0
    for epoch in lesson.files:
        for batch in batches(lesson, epoch):
            started = time.perf_counter()

            moments = torch.stack([lesson.encoded.latents(i) for i in batch]).to(learner.precision.device)
            drawn = draw(moments, learner.parts.noise.steps, lesson.settings.loss.noise_offset, generator)
            loss = losses(learner.predict, drawn, context(learner, lesson, batch), learner.parts.noise).mean()
            lr = learner.step(loss, step)

            step += 1
            seconds = time.perf_counter() - started
            yield Stepped(step=step, epoch=epoch, loss=float(loss.detach()), lr=lr, seconds=seconds)
            if commands.stopping_now:
                return
        yield save(learner, lesson, epoch, step)
        if epoch == 1:  # only now, so that the first step does not wait for it
            with weighted(learner.parts, 0.0):
                yield from validate(learner, lesson, epoch=0)
        yield from validate(learner, lesson, epoch)
        yield from preview(learner, lesson, epoch, commands)
        if commands.stopping_after_epoch:
            return


def batches(lesson: Lesson, epoch: int) -> list[list[int]]:
    """The epoch's batches of example numbers."""
    learnt = lesson.examples[: lesson.learnt]
    data = lesson.settings.data
    repeats = [example.item.repeats for example in learnt]
    return epoch_batches(
        [example.bucket for example in learnt], repeats, data.batch_size, lesson.settings.training.seed, epoch
    )


def context(learner: Learner, lesson: Lesson, batch: list[int]) -> torch.Tensor:
    """(B, 77, D) embeddings of the batch's captions: encoded anew where the text encoder learns, else cached ones."""
    captions = [lesson.examples[i].item.caption for i in batch]
    if learner.reads_text:
        return learner.context(captions)
    return torch.stack([lesson.encoded.text(caption) for caption in captions]).to(learner.precision.device)


def save(learner: Learner, lesson: Lesson, epoch: int, step: int) -> Saved:
    """Write the epoch's LoRA file."""
    path = lesson.files[epoch]
    items = [example.item for example in lesson.examples[: lesson.learnt]]
    metadata = run_metadata(lesson.settings, learner.parts, items, path.stem)
    tensors = state_of(learner.parts, PRECISIONS[lesson.settings.output.save_precision])
    write_lora(path, tensors, {**metadata, "ss_epoch": str(epoch), "ss_steps": str(step)})
    return Saved(epoch=epoch, path=str(path))


def validate(learner: Learner, lesson: Lesson, epoch: int) -> Iterator[Validated]:
    """Loss on the held-out images and on as many others; nothing without held-out images."""
    if not lesson.held_out:
        return
    held_out = list(range(lesson.learnt, len(lesson.examples)))
    known = list(range(min(lesson.held_out, lesson.learnt)))
    yield Validated(
        epoch=epoch,
        held_out=mean_loss(learner, lesson.examples, lesson.encoded, held_out),
        train=mean_loss(learner, lesson.examples, lesson.encoded, known),
    )


def preview(learner: Learner, lesson: Lesson, epoch: int, commands: Commands) -> Iterator[Previewed]:
    """Draw the preview prompts with the LoRA as it is now, always from the same seed."""
    samples = lesson.settings.samples
    resolution = lesson.settings.data.resolution
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
        )
        name = f"epoch-{epoch:06d}-{index}.png"
        draw_picture(learner.parts, drawing, learner.precision).save(lesson.samples / name)
        yield Previewed(epoch=epoch, index=index, prompt=prompt, path=f"{lesson.samples.name}/{name}")
