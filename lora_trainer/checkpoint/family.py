"""What kind of model a checkpoint is, told from its tensors' names and shapes; refuses what cannot be trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from lora_trainer.checkpoint.source import Checkpoint
from lora_trainer.errors import BadCheckpoint

UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."
FIRST_CONV = f"{UNET}input_blocks.0.0.weight"  # (width, channels in, 3, 3)


@dataclass(frozen=True)
class Family:
    """What a LoRA file and the WebUI need to know of a kind of model (kohya's and the WebUI's own words for it)."""

    name: str
    base_model_version: str  # ss_base_model_version
    card_version: str  # "sd version" of the WebUI's card
    architecture: str  # modelspec.architecture


SD1 = Family("SD1", "sd_v1", "SD1", "stable-diffusion-v1/lora")


def family_of(checkpoint: Checkpoint) -> Family:
    """The checkpoint's family. Raises ``BadCheckpoint`` with the reason when it is of a kind that cannot be trained."""
    kind = _unsupported(checkpoint.tensors)
    if kind:
        raise BadCheckpoint(f"checkpoint_{kind}", field="checkpoint", title=checkpoint.title)
    return SD1


def _unsupported(tensors: Mapping[str, torch.Tensor]) -> str | None:
    if any(".joint_blocks." in name for name in tensors):
        return "sd3"
    if FIRST_CONV not in tensors:
        return "other"
    if tensors[FIRST_CONV].shape[1] != 4:
        return "inpainting"
    if any(name.startswith("conditioner.embedders.") for name in tensors):
        return "sdxl" if any(name.startswith("conditioner.embedders.1.") for name in tensors) else "refiner"
    if any(name.startswith("cond_stage_model.model.") for name in tensors):
        return "sd2"
    if not any(name.startswith(TEXT) for name in tensors) or not any(name.startswith(VAE) for name in tensors):
        return "incomplete"
    return None


def check_file(path: Path) -> None:
    """Raise ``BadCheckpoint`` unless ``path`` is a file that may be opened at all (a ``.safetensors``, no pickle)."""
    if not path.is_file():
        raise BadCheckpoint("checkpoint_missing", field="checkpoint", path=path)
    if path.suffix.lower() != ".safetensors":
        raise BadCheckpoint("checkpoint_pickle", field="checkpoint", name=path.name)
