"""Settings of what a run shows and leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from lora_trainer.settings.field import MAX_SEED, Group, limited, shown


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleSettings(Group):
    """The preview pictures of every epoch; they change nothing in the LoRA."""

    sample_prompts: tuple[str, ...] = ()
    """Prompts of the previews and of the grid; none means: made from your captions."""
    sample_every_n_steps: int = shown(limited(0, low=0, high=1_000_000), unit="steps")
    """Draw the previews every so many steps as well, between the epochs; 0 means never."""
    negative_prompt: str = ""
    """What the previews should not show."""
    sample_steps: int = shown(limited(20, low=1, high=150), unit="steps")
    """Sampling steps of a preview."""
    cfg_scale: float = limited(7.0, low=1.0, high=30.0)
    """How strictly a preview follows its prompt."""
    sample_seed: int = limited(1, low=0, high=MAX_SEED)
    """Seed of the previews, the same in every epoch so that they can be compared."""
    sample_width: int = shown(limited(0, low=0, high=4096), unit="px")
    """Width of a preview in pixels; 0 means the training resolution."""
    sample_height: int = shown(limited(0, low=0, high=4096), unit="px")
    """Height of a preview in pixels; 0 means the training resolution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GridSettings(Group):
    """The comparison of epochs and weights."""

    grid: bool = True
    """Draw the grid of epochs and weights after training."""
    grid_weights: tuple[float, ...] = shown((0.6, 0.8, 1.0), needs={"grid": [True]})
    """Weights that the grid compares."""
    grid_epochs: int = shown(limited(10, low=1, high=100), unit="epochs", needs={"grid": [True]})
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
    save_every_n_epochs: int = shown(limited(1, low=1, high=1000), unit="epochs")
    """Save a file every so many epochs; the last epoch always has one."""
    save_every_n_steps: int = shown(limited(0, low=0, high=1_000_000), unit="steps")
    """Save a file every so many steps as well, between the epochs; 0 means never."""
    save_last_n_epochs: int = shown(limited(0, low=0, high=1000), unit="epochs")
    """Keep only the files of the last epochs; 0 keeps all."""
    training_comment: str = ""
    """A note that is written into the files."""
