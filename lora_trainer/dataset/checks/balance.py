"""How often everything is seen, as a sentence: 24 images × 8 repeats × 10 epochs ÷ 2 = 960 steps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lora_trainer.dataset.captions import Wording
from lora_trainer.dataset.checks.brief import placements
from lora_trainer.dataset.checks.facts import Survey
from lora_trainer.dataset.examples import Dataset, held_apart, placed
from lora_trainer.dataset.loader import steps_per_epoch
from lora_trainer.dataset.repeats import MAX_REPEATS
from lora_trainer.dataset.scan import Item, equalised, scan_regularisation
from lora_trainer.language import English, translate
from lora_trainer.settings import Settings

UNEVEN = 4.0  # one folder is seen this many times as often as another


@dataclass(frozen=True, slots=True)
class Share:
    """A folder: its images, its repeats, how many images of it an epoch shows, and repeats for which all folders are
    seen alike."""

    group: str
    images: int
    repeats: int
    seen: int
    suggested: int


@dataclass(frozen=True, slots=True)
class Balance:
    """The length of a run. ``repeats`` counts the images that are learnt by their repeats; regularisation images come
    on top, ``held_out`` ones are not learnt."""

    shares: tuple[Share, ...]
    repeats: Mapping[int, int]
    regularisation: int
    held_out: int
    epochs: int
    batch_size: int
    accumulation: int
    steps_per_epoch: int
    steps: int

    @property
    def seen(self) -> int:
        """Images in an epoch, counted with their repeats."""
        return sum(images * repeats for repeats, images in self.repeats.items()) + self.regularisation

    def sentence(self, language: str = English) -> str:
        """The numbers in a sentence; "=" only where they are equal: batches are filled bucket by bucket."""
        together = self.batch_size * self.accumulation
        values = {"epochs": self.epochs, "batch": together, "steps": self.steps}
        images = self._images(language)
        if self.steps != self.epochs * self.steps_per_epoch:
            text = translate("balance.cut", language, images=images, per_epoch=self.steps_per_epoch, **values)
        elif self.seen * self.epochs == self.steps * together:
            text = translate("balance.exact", language, images=images, **values)
        else:
            text = translate("balance.rounded", language, images=images, **values)
        return text + (translate("balance.held_out", language, count=self.held_out) if self.held_out else "")

    def _images(self, language: str) -> str:
        parts = [
            translate("balance.images", language, images=images, repeats=repeats)
            for repeats, images in sorted(self.repeats.items(), reverse=True)
        ]
        if self.regularisation:
            parts.append(translate("balance.regularisation", language, count=self.regularisation))
        return f"({' + '.join(parts)})" if len(parts) > 1 else "".join(parts)


def dataset_of(survey: Survey, settings: Settings) -> Dataset:
    """What ``examples.gather`` will give, of the images that can be read so far; captions are left out.

    Raises ``BadDataset`` where the regularisation images cannot be used.
    """
    data = settings.data
    places = placements(survey.readable, data)
    items = [
        Item(facts.path, Wording(), *facts.size, facts.repeats, facts.group, facts.folder_repeats)
        for facts in survey.readable
        if places[facts.path]
    ]
    learnt, held_out = held_apart(items, data, settings.training.seed)
    regularisation = scan_regularisation(data, settings.captions)
    equal = equalised(regularisation, sum(item.repeats for item in learnt))
    return Dataset(placed([*learnt, *equal], data), placed(held_out, replace(data, flip_aug=False)))


def balance(dataset: Dataset, settings: Settings) -> Balance:
    """The length of a run with these settings, by the rules of ``training.plan``."""
    training, data = settings.training, settings.data
    own = [example.item for example in dataset.learnt if not example.item.is_reg]
    batches = steps_per_epoch(dataset.learnt, data.batch_size)
    per_epoch = math.ceil(batches / training.gradient_accumulation_steps)
    return Balance(
        shares=shares(own),
        repeats=dict(Counter(item.repeats for item in own)),
        regularisation=sum(example.item.repeats for example in dataset.learnt) - sum(item.repeats for item in own),
        held_out=len(dataset.held_out),
        epochs=math.ceil(training.max_train_steps / max(1, per_epoch)) or training.epochs,
        batch_size=data.batch_size,
        accumulation=training.gradient_accumulation_steps,
        steps_per_epoch=per_epoch,
        steps=training.max_train_steps or training.epochs * per_epoch,
    )


class Seen(Protocol):
    """An image with its repeats and its folder's."""

    @property
    def group(self) -> str: ...

    @property
    def repeats(self) -> int: ...

    @property
    def folder_repeats(self) -> int: ...


def shares(items: Sequence[Seen]) -> tuple[Share, ...]:
    """Every folder's part of an epoch, in the order of the items.

    With the suggested repeats every folder is seen alike, and all together about as often as now.
    """
    groups: dict[str, list[Seen]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    seen = {group: sum(item.repeats for item in own) for group, own in groups.items()}
    wanted = sum(seen.values()) / max(1, len(seen))
    return tuple(
        Share(
            group,
            len(own),
            own[0].folder_repeats,
            seen[group],
            min(MAX_REPEATS, max(1, round(wanted / len(own)))),
        )
        for group, own in groups.items()
    )


def uneven(own: Sequence[Share]) -> bool:
    """Whether one folder outweighs another."""
    seen = [share.seen for share in own]
    return len(seen) > 1 and max(seen) >= UNEVEN * max(1, min(seen))
