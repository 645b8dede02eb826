"""The two graphical front ends of sd-scripts: their own names and habits, turned into kohya's arguments."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from lora_trainer.errors import BadSettings
from lora_trainer.interop.convert import is_unset
from lora_trainer.interop.files import flat, parse
from lora_trainer.interop.networks import ARG, put_network_args
from lora_trainer.interop.reading import Reading

# kohya_ss (bmaltais): names that differ from kohya's.
GUI_NAMES = {
    "max_resolution": "resolution",
    "optimizer": "optimizer_type",
    "lora_network_weights": "network_weights",
    "sdxl_cache_text_encoder_outputs": "cache_text_encoder_outputs",
    "sdxl_no_half_vae": "no_half_vae",
    "LyCORIS_preset": ARG + "preset",
    "conv_alphas": ARG + "conv_alpha",
    "conv_dims": ARG + "conv_dim",
}
GUI_NETWORK_ARGS = """
    conv_dim conv_alpha factor use_cp use_tucker use_scalar decompose_both train_norm dora_wd bypass_mode rank_dropout
    module_dropout block_dims block_alphas conv_block_dims conv_block_alphas down_lr_weight mid_lr_weight up_lr_weight
    block_lr_zero_threshold loraplus_lr_ratio loraplus_unet_lr_ratio loraplus_text_encoder_lr_ratio unit constrain
    rescaled rank_dropout_scale train_on_input
"""
# LoRA_type: network_module and algo.
GUI_TYPES = {
    "Standard": ("networks.lora", ""),
    "Kohya LoCon": ("networks.lora", ""),
    "Kohya DyLoRA": ("networks.dylora", ""),
    "Kohya LoHa": ("networks.loha", ""),
    "Kohya LoKr": ("networks.lokr", ""),
    "LoRA-FA": ("networks.lora_fa", ""),
    "LyCORIS/LoCon": ("lycoris.kohya", "locon"),
    "LyCORIS/LoHa": ("lycoris.kohya", "loha"),
    "LyCORIS/LoKr": ("lycoris.kohya", "lokr"),
    "LyCORIS/iA3": ("lycoris.kohya", "ia3"),
    "LyCORIS/DyLoRA": ("lycoris.kohya", "dylora"),
    "LyCORIS/GLoRA": ("lycoris.kohya", "glora"),
    "LyCORIS/BOFT": ("lycoris.kohya", "boft"),
    "LyCORIS/Diag-OFT": ("lycoris.kohya", "diag-oft"),
    "LyCORIS/Native Fine-Tuning": ("lycoris.kohya", "full"),
}
GUI_FAMILIES = ("flux1_checkbox", "sd3_checkbox", "lumina_checkbox", "hunyuan_image_checkbox", "anima_checkbox")
# A zero in these boxes of the GUI stands for "not set".
GUI_ZERO_IS_UNSET = """
    max_train_steps max_train_epochs epoch lr_warmup_steps seed clip_skip min_timestep max_timestep vae_batch_size
    save_every_n_epochs save_every_n_steps save_last_n_epochs save_last_n_epochs_state save_last_n_steps
    save_last_n_steps_state loraplus_lr_ratio loraplus_unet_lr_ratio loraplus_text_encoder_lr_ratio unet_lr
"""


def put_gui(reading: Reading, config: dict[str, Any]) -> None:
    """Add the entries of a config of the kohya_ss GUI. Raises ``BadSettings`` where it is for another model."""
    family = next((name for name in GUI_FAMILIES if config.get(name) is True), None)
    kind = str(config.get("LoRA_type", "Standard"))
    if family or kind.startswith(("Flux", "Hunyuan", "Lumina", "Anima")):
        raise BadSettings("import_family", name=kind if kind not in GUI_TYPES else family)
    multires = str(config.get("noise_offset_type")) == "Multires"
    for name, value in config.items():
        if name in ("additional_parameters", "LoRA_type"):
            continue
        _put_gui_entry(reading, name, value, kind)
    _put_type(reading, kind, "LoRA_type" in config)
    for name in (
        ("noise_offset", "adaptive_noise_scale", "noise_offset_random_strength")
        if multires
        else ("multires_noise_iterations", "multires_noise_discount")
    ):
        reading.ignore(name, "noise_type") if "noise_offset_type" in config else None
    for text in [str(config["additional_parameters"])] if config.get("additional_parameters") else []:
        _put_options(reading, text)


def _put_gui_entry(reading: Reading, name: str, value: Any, kind: str) -> None:
    zero = str(value).strip() in ("0", "0.0")
    if name in GUI_ZERO_IS_UNSET.split() and zero:
        reading.drop(name, value, "random_seed" if name == "seed" else "unset")
    elif name == "lr_warmup":
        _put_percent(reading, value)
    elif name in ("conv_dim", "conv_alpha") and kind in ("Standard", "LoRA-FA", "Kohya DyLoRA"):
        reading.drop(name, value, "unused_by_type", kind=kind)
    elif name in GUI_NETWORK_ARGS.split() or name in ("conv_dims", "conv_alphas"):
        if zero or value is False or (name == "factor" and str(value).strip() == "-1"):
            reading.drop(name, value, "off")
        else:
            reading.put(GUI_NAMES.get(name, ARG + name), value, name)
    elif name == "LyCORIS_preset" and not kind.startswith("LyCORIS"):
        reading.drop(name, value, "unused_by_type", kind=kind)
    elif name == "xformers" or name == "noise_offset_type":
        reading.drop(name, value, "attention" if name == "xformers" else "noise_chooser")
    elif name in ("optimizer_args", "base_weights") and isinstance(value, str):
        reading.put(name, _words(value), name)
    else:
        reading.put(GUI_NAMES.get(name, name), value, name)


def _put_type(reading: Reading, kind: str, given: bool) -> None:
    module, algorithm = GUI_TYPES.get(kind, ("networks.lora", ""))
    if kind not in GUI_TYPES:
        reading.drop("LoRA_type", kind, "network_unknown")
    reading.put("network_module", module, "LoRA_type" if given else "network_module")
    if algorithm:
        reading.put(ARG + "algo", algorithm, "LoRA_type")


def _put_percent(reading: Reading, value: Any) -> None:
    """The GUI's warm-up is per cent of all steps; a number of steps outranks it."""
    if is_unset(value):
        reading.drop("lr_warmup", value, "unset")
    elif "lr_warmup_steps" in reading.left:
        reading.drop("lr_warmup", value, "overridden", by="lr_warmup_steps")
    else:
        reading.put("lr_warmup_steps", f"{str(value).strip()}%", "lr_warmup")


def _put_options(reading: Reading, text: str) -> None:
    """Add what stands in the box of further command-line options, which outrank the other boxes."""
    words = _words(text)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            reading.drop("additional_parameters", word, "bad_argument")
            continue
        name, equals, value = word[2:].partition("=")
        values = [value] if equals else []
        while words and not words[0].startswith("--"):
            values.append(words.pop(0))
        if name == "network_args":
            put_network_args(reading, values, "additional_parameters --network_args")
        else:
            given: Any = True if not values else values[0] if len(values) == 1 else values
            reading.put(name, given, f"additional_parameters --{name}")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quotation mark without its partner
        return text.replace('"', "").split()


# SD-Trainer (Akegarasu): names that differ from kohya's.
TRAINER_NAMES = {
    "lr_restart_cycles": "lr_scheduler_num_cycles",
    "lycoris_algo": ARG + "algo",
    "lokr_factor": ARG + "factor",
    "dylora_unit": ARG + "unit",
    "prompt_file": "sample_prompts",
    **{name: ARG + name for name in ("conv_dim", "conv_alpha", "dropout", "train_norm", "block_lr_zero_threshold")},
    **{name: ARG + name for name in ("down_lr_weight", "mid_lr_weight", "up_lr_weight")},
}
TRAINER_MARKS = (
    *TRAINER_NAMES,
    *("model_train_type", "network_args_custom", "optimizer_args_custom", "ui_custom_params", "enable_preview"),
    *("positive_prompts", "prodigy_d0", "prodigy_d_coef", "enable_block_weights"),
)
PREVIEW = {"sample_width": "w", "sample_height": "h", "sample_cfg": "l", "sample_seed": "d", "sample_steps": "s"}


def put_trainer(reading: Reading, config: dict[str, Any]) -> None:
    """Add the entries of SD-Trainer, whose own box of TOML overrides the rest. Raises ``BadSettings`` where it is for
    another model."""
    custom = config.get("ui_custom_params")
    over = parse(custom, Path("ui_custom_params")) if isinstance(custom, str) and custom.strip() else {}
    entries = {**config, **(flat(over) if isinstance(over, dict) else {})}
    train_type = str(entries.get("model_train_type", "sd-lora"))
    if not train_type.startswith(("sd-", "sdxl-")):
        raise BadSettings("import_family", name=train_type)
    for name in ("optimizer_args", "base_weights", "base_weights_multiplier"):
        if isinstance(entries.get(name), str):
            entries[name] = [line.strip() for line in entries[name].splitlines() if line.strip()]
    for name, value in entries.items():
        if name in ("network_args", "network_args_custom"):
            put_network_args(reading, value, name)
        elif name not in ("positive_prompts", "negative_prompts", *PREVIEW, *_OPTIMIZER_BOXES):
            reading.put(TRAINER_NAMES.get(name, name), value, name)
    if "ui_custom_params" in reading.left:
        reading.ignore("ui_custom_params", "custom_params")
    _put_optimizer_boxes(reading, entries)
    _put_preview(reading, entries)


_OPTIMIZER_BOXES = {"prodigy_d0": "d0", "prodigy_d_coef": "d_coef"}


def _put_optimizer_boxes(reading: Reading, entries: dict[str, Any]) -> None:
    boxes = [(name, argument) for name, argument in _OPTIMIZER_BOXES.items() if not is_unset(entries.get(name))]
    added = [f"{argument}={entries[name]}" for name, argument in boxes]
    for name in _OPTIMIZER_BOXES:
        if name in entries and is_unset(entries[name]):
            reading.drop(name, entries[name], "unset")
    custom = entries.get("optimizer_args_custom")
    reading.left.pop("optimizer_args_custom", None)
    more = custom if isinstance(custom, list) else []
    if added or more:
        before = reading.left.pop("optimizer_args", None)
        old = before.value if before and isinstance(before.value, list) else []
        names = ", ".join(
            [*(["optimizer_args"] if old else []), *(n for n, _ in boxes), *(["optimizer_args_custom"] * bool(more))]
        )
        reading.put("optimizer_args", [*old, *added, *more], names)


def _put_preview(reading: Reading, entries: dict[str, Any]) -> None:
    """The form's prompt and its numbers, as one line of a prompt file; a file outranks them."""
    parts = {name: entries[name] for name in ("positive_prompts", "negative_prompts", *PREVIEW) if name in entries}
    if "positive_prompts" not in parts or "sample_prompts" in reading.left:
        for name, value in parts.items():
            reading.drop(name, value, "overridden", by="sample_prompts")
        return
    names = ", ".join(parts)
    line = " ".join(str(parts.pop("positive_prompts")).split())
    if negative := " ".join(str(parts.pop("negative_prompts", "")).split()):
        line += f" --n {negative}"
    line += "".join(f" --{PREVIEW[name]} {value}" for name, value in parts.items() if not is_unset(value))
    reading.put("sample_prompts", line, names)
