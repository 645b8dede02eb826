"""How long a run is, and what each of its steps sees: a function of the settings and the data alone."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from lora_trainer.dataset.examples import Dataset
from lora_trainer.dataset.loader import Shown, epoch_batches, share, steps_per_epoch
from lora_trainer.settings import DataSettings, Settings
from lora_trainer.training.processes import Team


@dataclass(frozen=True, slots=True)
class Batch:
    """What one process sees at once, and the numbers of these images in the run; empty where a bucket ran out."""

    shown: list[Shown]
    numbers: list[int]


@dataclass(frozen=True, slots=True)
class Step:
    """An optimizer step: its number from 1, its epoch, this process's batches, and the images of all processes."""

    number: int
    epoch: int
    batches: list[Batch]
    images: int


@dataclass(frozen=True)
class Plan:
    """The run as steps."""

    dataset: Dataset
    settings: Settings
    team: Team = field(default_factory=Team)

    @property
    def epochs(self) -> int:
        """Rounds over the data; the last may be cut short by ``max_train_steps``."""
        training = self.settings.training
        return math.ceil(training.max_train_steps / self.steps_per_epoch) or training.epochs

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.settings.training.max_train_steps or self.settings.training.epochs * self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of a whole epoch."""
        batches = steps_per_epoch(self.dataset.learnt, self._data.batch_size)
        return math.ceil(batches / self.settings.training.gradient_accumulation_steps)

    @property
    def images_per_epoch(self) -> int:
        """Images, counted with their repeats."""
        return sum(example.item.repeats for example in self.dataset.learnt)

    def saved(self, epoch: int) -> bool:
        """Whether the epoch gets a file."""
        return epoch % self.settings.output.save_every_n_epochs == 0 or epoch == self.epochs

    def steps_of(self, epoch: int) -> Iterator[Step]:
        """The steps of an epoch, counted from 1."""
        settings = self.settings
        batches = epoch_batches(self.dataset.learnt, self._data, settings.captions, settings.training.seed, epoch)
        together = settings.training.gradient_accumulation_steps
        image = (epoch - 1) * self.images_per_epoch
        per_epoch, last = self.steps_per_epoch, self.steps
        for turn in range(per_epoch):
            number = (epoch - 1) * per_epoch + turn + 1
            if number > last:
                return
            whole = batches[turn * together : (turn + 1) * together]
            own = []
            for batch in whole:
                numbers = list(range(image, image + len(batch)))
                own.append(Batch(share(batch, *self._place), numbers[self.team.rank :: self.team.size]))
                image += len(batch)
            yield Step(number, epoch, own, sum(map(len, whole)))

    @property
    def fingerprint(self) -> str:
        """Changes with the images, their order, their captions and the number of steps: a state goes on only with the
        same."""
        seen = [[example.item.path.name, example.item.caption, *example.bucket] for example in self.dataset.examples]
        text = json.dumps([seen, self.steps, self.steps_per_epoch])
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]

    @property
    def _place(self) -> tuple[int, int]:
        return self.team.rank, self.team.size

    @property
    def _data(self) -> DataSettings:
        """Batches are made for all processes together."""
        return replace(self.settings.data, batch_size=self.settings.data.batch_size * self.team.size)
