"""What is unusual about settings: nothing here forbids anything, it only says what would come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lora_trainer.dataset.examples import Dataset
from lora_trainer.errors import BadSettings
from lora_trainer.forecast.model import Model
from lora_trainer.language import English, translate
from lora_trainer.settings import Settings
from lora_trainer.training.optimizer_advice import advice
from lora_trainer.training.optimizers import class_name, sets_own_rate, shares_rate

LOW, HIGH = 2e-5, 1e-3  # rates of Adam and its like; LOW hardly moves in a usual run
TINY_HIGH = 1e-2  # the same for models of a few million weights
LION = 5.0  # Lion wants rates so many times lower
MUCH_RANK, RANK_PER_IMAGE = 64, 4.0
ENLARGED = 1.5
FEW_VIEWS, MANY_VIEWS = 20, 1000  # how often each image is seen in a run
FEW_STEPS = 100
MANY_BATCHES = 4  # steps of an epoch, below which a batch is large for the set
STRONG_DROPOUT = 0.3
NO_MEASURE = 10  # images from which on holding some out is worth it


@dataclass(frozen=True)
class Unusual:
    """One remark: ``unusual.<key>`` with ``values``, about the setting ``field``."""

    key: str
    field: str
    values: dict[str, Any]

    def text(self, language: str = English) -> str:
        """The sentence in ``language``."""
        return translate(f"unusual.{self.key}", language, **self.values)


@dataclass(frozen=True)
class Case:
    """What is looked at. ``steps`` are those of the whole run."""

    settings: Settings
    dataset: Dataset
    steps: int
    model: Model | None = None

    @property
    def sides(self) -> list[float]:
        """The side in pixels of a square as large as each own image."""
        items = [example.item for example in self.dataset.learnt if not example.item.is_reg]
        return sorted((item.width * item.height) ** 0.5 for item in items)


Found = Iterator[tuple[str, str, dict[str, Any]]]


def unusual(case: Case, language: str = English) -> list[dict[str, str]]:
    """All remarks as ``{"field", "text"}``, those of the optimizer's own advice among them."""
    found = [{"field": one.field, "text": one.text(language)} for one in remarks(case)]
    said = {one["field"] for one in found}
    try:
        own = advice(case.settings.optimizer)
    except BadSettings:  # told among the problems
        own = []
    return found + [{"field": one.field, "text": one.text(language)} for one in own if one.field not in said]


def remarks(case: Case) -> list[Unusual]:
    """All remarks of this module."""
    return [Unusual(key, field, values) for check in CHECKS for key, field, values in check(case)]


def _rates(case: Case) -> Found:
    optimizer = case.settings.optimizer
    if shares_rate(optimizer) or sets_own_rate(optimizer) or "sgd" in class_name(optimizer) or not optimizer.unet_lr:
        return
    factor = 1 / LION if "lion" in class_name(optimizer) else 1.0
    high = TINY_HIGH if case.model and case.model.tiny else HIGH
    if optimizer.unet_lr > high * factor:
        yield "rate_high", "unet_lr", {"rate": f"{optimizer.unet_lr:g}", "usual": f"{high * factor:g}"}
    elif optimizer.unet_lr < LOW * factor:
        yield "rate_low", "unet_lr", {"rate": f"{optimizer.unet_lr:g}", "usual": f"{LOW * factor:g}"}


def _text_rates(case: Case) -> Found:
    optimizer = case.settings.optimizer
    for name in ("text_encoder_lr", "text_encoder_lr2"):
        rate = getattr(optimizer, name)
        if rate > optimizer.unet_lr > 0:
            yield "text_rate", name, {"rate": f"{rate:g}", "unet": f"{optimizer.unet_lr:g}"}


def _rank(case: Case) -> Found:
    network, images = case.settings.network, len(case.sides)
    if images and network.network_dim >= MUCH_RANK and network.network_dim > RANK_PER_IMAGE * images:
        yield "rank", "network_dim", {"rank": network.network_dim, "images": images}
    if network.network_alpha > network.network_dim and not network.rank_stabilized:
        times = f"{network.network_alpha / network.network_dim:.1f}"
        values = {"alpha": f"{network.network_alpha:g}", "rank": network.network_dim, "times": times}
        yield "alpha", "network_alpha", values


def _resolution(case: Case) -> Found:
    data, sides, model = case.settings.data, case.sides, case.model
    if sides and data.resolution > ENLARGED * sides[len(sides) // 2] and not data.bucket_no_upscale:
        values = {"resolution": data.resolution, "side": round(sides[len(sides) // 2])}
        yield "enlarged", "resolution", values
    if model and not 0.5 <= data.resolution / model.resolution <= 1.5:
        yield "resolution_model", "resolution", {"resolution": data.resolution, "side": model.resolution}


def _length(case: Case) -> Found:
    own = [example.item for example in case.dataset.learnt if not example.item.is_reg]
    if not own:
        return
    training = case.settings.training
    if training.max_train_steps == 0:
        views = training.epochs * sum(item.repeats for item in own) / len(own)
        if views > MANY_VIEWS:
            yield "views_many", "repeats", {"views": round(views)}
        elif views < FEW_VIEWS and len(own) < FEW_STEPS:
            yield "views_few", "repeats", {"views": round(views)}
    if case.steps < FEW_STEPS:
        yield "steps_few", "epochs", {"steps": case.steps}


def _epochs(case: Case) -> Found:
    training = case.settings.training
    if training.epochs == 1 and not training.max_train_steps:
        yield "epochs_one", "epochs", {}
    elif training.epochs > 50 and not training.max_train_steps:
        yield "epochs_many", "epochs", {"epochs": training.epochs}


def _batch(case: Case) -> Found:
    images = len(case.sides)
    together = case.settings.data.batch_size * case.settings.training.gradient_accumulation_steps
    if images and together > images:
        yield "batch_images", "batch_size", {"batch": together, "images": images}
    elif images and together > 4 and sum(e.item.repeats for e in case.dataset.learnt) / together < MANY_BATCHES:
        yield "batch_large", "batch_size", {"batch": together}


def _captions(case: Case) -> Found:
    captions = case.settings.captions
    if captions.caption_dropout_rate > STRONG_DROPOUT:
        yield "dropout", "caption_dropout_rate", {"percent": round(100 * captions.caption_dropout_rate)}
    own = [example.item for example in case.dataset.learnt if not example.item.is_reg]
    trigger = case.settings.data.trigger.strip()
    if own and len({item.caption for item in own}) == 1 and len(own) > 1:
        yield "captions_alike", "caption_extension", {"caption": own[0].caption[:60]}
    if trigger and trigger.isascii() and trigger.lower() in COMMON.split():
        yield "trigger_common", "trigger", {"trigger": trigger}
    if captions.shuffle_caption and captions.keep_tokens == 0:
        yield "trigger_shuffled", "keep_tokens", {}


def _measures(case: Case) -> Found:
    if not case.dataset.held_out and len(case.sides) >= NO_MEASURE:
        yield "not_measured", "validation_split", {"images": len(case.sides)}
    if not case.settings.grid.grid:
        yield "no_grid", "grid", {}


# Words that every model knows already: as a trigger they bring what they mean along.
COMMON = "girl boy man woman person cat dog car house style character object red green blue anime photo art picture"
CHECKS: Sequence[Callable[[Case], Found]] = (
    *(_rates, _text_rates, _rank, _resolution, _length, _epochs, _batch, _captions, _measures),
)
