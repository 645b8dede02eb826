"""Every setting of a run: frozen dataclasses with one documented line under each field.

Forms, the command line, the API and the translations are generated from these classes. A field's name is unique over
all groups, follows kohya's scripts where they have it, and is the widget's ``elem_id`` behind ``lora_trainer_``.
Limits stand in the field's metadata; ``__post_init__`` enforces them.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any

from lora_trainer.errors import BadSettings

MAX_SEED = 2**32 - 1


def limited(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    basic: bool = False,
) -> Any:
    """A field with limits (both inclusive) or choices; ``basic`` fields are shown unfolded."""
    metadata = {"low": low, "high": high, "choices": choices, "basic": basic}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """What all groups of settings share: the check of every field against its limits."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSettings(Group):
    """The images and how they are shown to the model."""

    images: str = ""
    """Folder of images, flat or with kohya's `N_name class` sub-folders."""
    trigger: str = ""
    """Made-up word that calls the concept; it starts every caption."""
    resolution: int = limited(512, low=64, high=2048, basic=True)
    """Side in pixels of a square image with as many pixels as training images get."""
    enable_bucket: bool = True
    """Keep aspect ratios: sort images into buckets of similar shape instead of cropping all to a square."""
    min_bucket_reso: int = limited(256, low=64, high=2048)
    """Shortest side in pixels that a bucket may have."""
    max_bucket_reso: int = limited(1024, low=64, high=4096)
    """Longest side in pixels that a bucket may have."""
    bucket_reso_steps: int = limited(64, low=8, high=256)
    """Bucket sides are multiples of this many pixels."""
    repeats: int = limited(10, low=1, high=1000, basic=True)
    """How often each image is seen in an epoch; a folder name like `20_name` has its own number."""
    batch_size: int = limited(1, low=1, high=64, basic=True)
    """Images in one step. More need more memory; with about 20 images stay at 4 or below."""
    validation_split: float = limited(0.1, low=0.0, high=0.5)
    """Share of the images held out to measure, not to learn from; 0 holds out none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSettings(Group):
    """The LoRA itself."""

    network_dim: int = limited(16, low=1, high=512, basic=True)
    """Rank: how much detail the LoRA can hold, and how large its file is."""
    network_alpha: float = limited(8.0, low=0.0, high=512.0)
    """The LoRA is scaled by alpha / rank; lower values damp learning. 0 means the same as the rank."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings(Group):
    """How it learns."""

    epochs: int = limited(10, low=1, high=1000, basic=True)
    """Rounds over all images. Every epoch is saved as a numbered file, and the best is picked afterwards."""
    unet_lr: float = limited(1e-4, low=0.0, high=1.0, basic=True)
    """Learning rate of the U-Net, which draws; 0 leaves it alone."""
    text_encoder_lr: float = limited(0.0, low=0.0, high=1.0)
    """Learning rate of the text encoder, about a tenth of the U-Net's; 0 leaves it alone."""
    lr_scheduler: str = limited("cosine", choices=("constant", "cosine"))
    """How the learning rate goes on after the warm-up: held, or lowered to zero along a cosine."""
    lr_warmup: float = limited(0.05, low=0.0, high=0.5)
    """Share of all steps in which the learning rate rises from zero."""
    weight_decay: float = limited(0.01, low=0.0, high=1.0)
    """Pull of AdamW towards zero weights."""
    max_grad_norm: float = limited(1.0, low=0.0, high=100.0)
    """Longest gradient a step may have; 0 means no limit."""
    noise_offset: float = limited(0.0, low=0.0, high=1.0)
    """Extra noise common to a whole channel, which helps very dark and very bright images; stay at 0.2 or below."""
    mixed_precision: str = limited("auto", choices=("auto", "fp32", "bf16", "fp16"))
    """Number format of the frozen model while it trains; auto takes the best that the device has."""
    device: str = limited("auto", choices=("auto", "cuda", "cpu"))
    """Where to train; auto takes the graphics card where there is one."""
    seed: int = limited(42, low=0, high=MAX_SEED)
    """Start of all random numbers: the same seed gives the same LoRA."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleSettings(Group):
    """The preview pictures of every epoch; they change nothing in the LoRA."""

    sample_prompts: tuple[str, ...] = ()
    """Prompts of the previews and of the grid; none means: made from your captions."""
    negative_prompt: str = ""
    """What the previews should not show."""
    sample_steps: int = limited(20, low=1, high=150)
    """Sampling steps of a preview."""
    cfg_scale: float = limited(7.0, low=1.0, high=30.0)
    """How strictly a preview follows its prompt."""
    sample_seed: int = limited(1, low=0, high=MAX_SEED)
    """Seed of the previews, the same in every epoch so that they can be compared."""
    sample_width: int = limited(0, low=0, high=4096)
    """Width of a preview in pixels; 0 means the training resolution."""
    sample_height: int = limited(0, low=0, high=4096)
    """Height of a preview in pixels; 0 means the training resolution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GridSettings(Group):
    """The comparison of epochs and weights."""

    grid: bool = True
    """Draw the grid of epochs and weights after training."""
    grid_weights: tuple[float, ...] = (0.6, 0.8, 1.0)
    """Weights that the grid compares."""
    grid_epochs: int = limited(10, low=1, high=100)
    """Most epochs that the grid compares; of more, evenly spread ones are taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSettings(Group):
    """What is written, and where."""

    checkpoint: str = ""
    """Checkpoint file to train on; empty takes the one that is loaded."""
    name: str = ""
    """Name of the LoRA; its files are called `name-000001.safetensors` and so on."""
    out: str = ""
    """Folder for the LoRA files; empty takes the WebUI's own."""
    save_precision: str = limited("fp16", choices=("fp16", "bf16", "fp32"))
    """Number format of the saved files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All settings of a run, group by group."""

    data: DataSettings = dataclasses.field(default_factory=DataSettings)
    network: NetworkSettings = dataclasses.field(default_factory=NetworkSettings)
    training: TrainingSettings = dataclasses.field(default_factory=TrainingSettings)
    samples: SampleSettings = dataclasses.field(default_factory=SampleSettings)
    grid: GridSettings = dataclasses.field(default_factory=GridSettings)
    output: OutputSettings = dataclasses.field(default_factory=OutputSettings)


def check_value(field: dataclasses.Field[Any], value: object) -> None:
    """Raise ``BadSettings`` when ``value`` breaks the type, limits or choices of ``field``."""
    kind = type(field.default) if field.default is not dataclasses.MISSING else str
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) if kind is float else type(value) is kind
    if not fits:
        raise BadSettings("setting_type", field=field.name, name=field.name, value=value, kind=kind.__name__)
    choices, low, high = (field.metadata.get(key) for key in ("choices", "low", "high"))
    if choices and value not in choices:
        raise BadSettings("setting_choice", field=field.name, name=field.name, value=value, choices=", ".join(choices))
    if isinstance(value, (int, float)) and low is not None and high is not None and not low <= value <= high:
        raise BadSettings("setting_range", field=field.name, name=field.name, value=value, low=low, high=high)


def groups() -> dict[str, type[Group]]:
    """The groups by name, in the order in which they are shown."""
    hints = typing.get_type_hints(Settings)
    return {field.name: hints[field.name] for field in dataclasses.fields(Settings)}


@cache
def fields() -> dict[str, tuple[str, dataclasses.Field[Any]]]:
    """Every setting by its name: its group's name and its field."""
    return {field.name: (group, field) for group, kind in groups().items() for field in dataclasses.fields(kind)}


@cache
def help_texts() -> dict[str, str]:
    """The documented line under every field, by the field's name."""
    found = {}
    for kind in groups().values():
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body  # type: ignore[attr-defined]
        for line, below in itertools.pairwise(body):
            if (
                isinstance(line, ast.AnnAssign)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found[ast.unparse(line.target)] = str(below.value.value)
    return found


def from_flat(values: dict[str, Any]) -> Settings:
    """Settings from ``{name: value}``; lists become tuples. Raises ``BadSettings`` on unknown names and bad values."""
    grouped: dict[str, dict[str, Any]] = {group: {} for group in groups()}
    for name, value in values.items():
        if name not in fields():
            raise BadSettings("setting_unknown", field=name, name=name)
        group, field = fields()[name]
        value = tuple(value) if isinstance(value, list) else value
        grouped[group][name] = float(value) if type(field.default) is float and type(value) is int else value
    made: dict[str, Any] = {group: kind(**grouped[group]) for group, kind in groups().items()}
    return Settings(**made)


def to_flat(settings: Settings) -> dict[str, Any]:
    """``{name: value}`` of all settings; the inverse of ``from_flat``."""
    return {name: getattr(getattr(settings, group), name) for name, (group, _) in fields().items()}


def changed(settings: Settings, **values: Any) -> Settings:
    """A copy with some values changed, by their names."""
    return from_flat({**to_flat(settings), **values})
