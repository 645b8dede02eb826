"""The small sets of differences that presets are composed of: what is changed from the defaults, and why.

A value's reason is the text ``preset.reason.<key>``. Sources: kohya's, OneTrainer's and ai-toolkit's defaults; rank,
rate and batch after spacepxl's measurements (github.com/spacepxl/demystifying-sd-finetuning); memory after the counted
activations of a step (``lora_trainer.forecast.memory``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GOALS = ("character", "style", "object")
FAMILIES = ("SD1", "SD2", "SDXL")
PROCESSOR = 0  # the memory of a run without a graphics card
MEMORIES = (PROCESSOR, 6, 8, 12, 16, 24)  # GB

Differences = Mapping[str, tuple[Any, str]]  # setting: its value, and the key of its reason

RESOLUTIONS = {"SD1": 512, "SD2": 768, "SDXL": 1024}  # where the checkpoint does not tell its own
SHOWN = {"SD1": 400, "SD2": 400, "SDXL": 200}  # pictures of an epoch that are enough to learn from
MOST_REPEATS = 50

BY_GOAL: dict[str, Differences] = {
    "character": {
        "network_dim": (16, "dim_character"),
        "network_alpha": (8.0, "alpha_half"),
        "epochs": (10, "epochs"),
        "shuffle_caption": (True, "shuffle"),
    },
    "style": {
        "network_dim": (32, "dim_style"),
        "network_alpha": (16.0, "alpha_half"),
        "epochs": (10, "epochs"),
        "shuffle_caption": (True, "shuffle"),
        "caption_dropout_rate": (0.1, "dropout_style"),
        "flip_aug": (True, "flip_style"),
    },
    "object": {
        "network_dim": (8, "dim_object"),
        "network_alpha": (4.0, "alpha_half"),
        "epochs": (10, "epochs"),
        "shuffle_caption": (True, "shuffle"),
        "caption_dropout_rate": (0.05, "dropout_object"),
    },
}

BY_FAMILY: dict[str, Differences] = {
    "SD1": {"text_encoder_lr": (0.0, "text_encoder")},
    "SD2": {"text_encoder_lr": (0.0, "text_encoder")},
    "SDXL": {
        "text_encoder_lr": (0.0, "text_encoder"),
        "text_encoder_lr2": (0.0, "text_encoder"),
        "min_bucket_reso": (512, "buckets_sdxl"),
        "max_bucket_reso": (2048, "buckets_sdxl"),
    },
}

_ONE: Differences = {"batch_size": (1, "batch_one")}
_TWO: Differences = {"batch_size": (2, "batch_two")}
_FOUR: Differences = {"batch_size": (4, "batch_four")}
_WHOLE: Differences = {"gradient_checkpointing": (False, "whole")}
_RECOMPUTED: Differences = {"gradient_checkpointing": (True, "recomputed")}
_SMALLER: Differences = {
    "resolution": (768, "smaller"),
    "network_dim": (8, "dim_small"),
    "network_alpha": (4.0, "alpha_half"),
}
_PROCESSOR: Differences = {
    **_ONE,
    **_WHOLE,
    "sample_steps": (15, "samples_processor"),
    "grid_epochs": (5, "grid_processor"),
}

BY_MEMORY: dict[str, dict[int, Differences]] = {
    "SD1": {
        PROCESSOR: _PROCESSOR,
        6: {**_TWO, **_WHOLE},
        8: {**_TWO, **_WHOLE},
        12: {**_FOUR, **_WHOLE},
        16: {**_FOUR, **_WHOLE},
        24: {**_FOUR, **_WHOLE},
    },
    "SD2": {
        PROCESSOR: _PROCESSOR,
        6: {**_TWO, **_RECOMPUTED},
        8: {**_ONE, **_WHOLE},
        12: {**_TWO, **_WHOLE},
        16: {**_FOUR, **_WHOLE},
        24: {**_FOUR, **_WHOLE},
    },
    "SDXL": {
        PROCESSOR: _PROCESSOR,
        6: {**_ONE, **_RECOMPUTED, **_SMALLER},
        8: {**_ONE, **_RECOMPUTED, **_SMALLER},
        12: {**_TWO, **_RECOMPUTED},
        16: {**_FOUR, **_RECOMPUTED},
        24: {**_ONE, **_WHOLE, "gradient_accumulation_steps": (2, "accumulate")},
    },
}

# Of models with a small fraction of their family's weights, such as the drawn world that comes with the project.
TINY: Differences = {
    "batch_size": (2, "batch_two"),
    "gradient_checkpointing": (False, "whole"),
    "network_dim": (16, "dim_tiny"),
    "network_alpha": (16.0, "alpha_tiny"),
    "unet_lr": (2e-3, "rate_tiny"),
    "epochs": (8, "epochs"),
    "shuffle_caption": (False, "shuffle_tiny"),
    "noise_offset": (0.1, "noise_tiny"),
    "debiased_estimation_loss": (True, "debiased_tiny"),
    "sample_steps": (20, "samples_tiny"),
    "cfg_scale": (5.0, "scale_tiny"),
}
TINY_SHOWN = 200
