"""Settings out of another program's file, whichever of the known kinds it is."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lora_trainer.errors import BadSettings
from lora_trainer.interop.convert import Unfit, as_number, is_unset
from lora_trainer.interop.datasets import put_datasets
from lora_trainer.interop.files import find, flat, is_lora, read_config, read_metadata
from lora_trainer.interop.frontends import TRAINER_MARKS, put_gui, put_trainer
from lora_trainer.interop.learning import read_length, read_optimizer, read_rates, read_schedule
from lora_trainer.interop.lora_metadata import own_settings, put_metadata
from lora_trainer.interop.names import SAME, reason_of
from lora_trainer.interop.networks import put_network_args, read_network
from lora_trainer.interop.prompts import read_prompts
from lora_trainer.interop.reading import Imported, Reading
from lora_trainer.settings import fields

GUI_MARKS = ("LoRA_type", "max_resolution", "additional_parameters", "LyCORIS_preset", "lora_network_weights")
# Settings for which kohya's default, where a file is silent, is not ours.
DATASET_DEFAULTS = {"enable_bucket": False, "caption_extension": ".caption", "keep_tokens": 0, "validation_split": 0.0}
RUN_DEFAULTS = {"lr_scheduler": "constant", "lr_warmup": 0.0, "mixed_precision": "fp32", "save_precision": "fp32"}
PRECISIONS = {"no": "fp32", "float": "fp32"}
OFF = (False, 0, "0", "no", "default")  # the last two are the compiler's
MODEL_SUFFIXES = (".safetensors", ".ckpt")


def import_file(path: Path) -> Imported:
    """What ``path`` says of a run: sd-scripts' ``--config_file``, a dataset config, kohya_ss' JSON, SD-Trainer's TOML,
    or the metadata of a LoRA. Raises ``BadSettings`` where it is none of them or cannot be read."""
    if is_lora(path):
        metadata, tensors = read_metadata(path)
        if whole := own_settings(metadata):
            return whole
        if not any(key.startswith("ss_") for key in metadata):
            raise BadSettings("import_no_metadata", name=path.name)
        reading = Reading("lora")
        put_metadata(reading, metadata, tensors)
        return _settle(reading, path.parent)
    config = read_config(path)
    kind = kind_of(config)
    if not kind:
        own = any(name in fields() for name in flat(config))
        raise BadSettings("import_own" if own else "import_unknown", name=path.name)
    reading = Reading(kind)
    {"dataset": put_datasets, "gui": put_gui, "trainer": _put_trainer, "kohya": _put_kohya}[kind](reading, config)
    _follow_dataset_config(reading, path.parent)
    return _settle(reading, path.parent)


def kind_of(config: dict[str, Any]) -> str:
    """``dataset``, ``gui`` (kohya_ss), ``trainer`` (SD-Trainer) or ``kohya``; empty where it is none of them."""
    if "datasets" in config:
        return "dataset"
    names = set(flat(config))
    if names & set(GUI_MARKS):
        return "gui"
    if names & set(TRAINER_MARKS):
        return "trainer"
    only_theirs = {"learning_rate", "network_module", "max_train_epochs", "train_batch_size", "output_name"}
    only_theirs |= {"pretrained_model_name_or_path", "train_data_dir", "dataset_config", "output_dir"}
    return "kohya" if names & only_theirs else ""


def _put_kohya(reading: Reading, config: dict[str, Any]) -> None:
    for name, value in flat(config).items():
        if name == "network_args" and not is_unset(value):
            put_network_args(reading, value)
        else:
            reading.put(name, value)


def _put_trainer(reading: Reading, config: dict[str, Any]) -> None:
    put_trainer(reading, flat(config))


def _follow_dataset_config(reading: Reading, beside: Path) -> None:
    """Read the dataset config that a config names, if it is there."""
    name = reading.text("dataset_config")
    if not name:
        return
    path = find(name, beside)
    try:
        config = read_config(path) if path else {}
    except BadSettings:
        config = {}
    if "datasets" not in config:
        reading.ignore("dataset_config", "dataset_missing")
        return
    reading.ignore("dataset_config", "dataset_read")
    put_datasets(reading, config, "dataset_config ")


def _settle(reading: Reading, beside: Path) -> Imported:
    read_length(reading)
    read_rates(reading)
    read_optimizer(reading)
    read_schedule(reading)
    read_network(reading)
    read_prompts(reading, beside)
    for name, rule in RULES.items():
        if name in reading.left:
            rule(reading, name)
    for name in list(reading.left):
        if name in SAME:
            reading.take(name, SAME[name])
        elif reason := reason_of(name):
            reading.ignore(name, "off" if reading.value(name) in OFF else reason)
    if reading.kind != "lora":
        _defaults(reading)
    return reading.finish()


def _defaults(reading: Reading) -> None:
    defaults = {**DATASET_DEFAULTS, **RUN_DEFAULTS} if reading.whole else DATASET_DEFAULTS
    if reading.values.get("lr_warmup_steps"):
        defaults = {name: value for name, value in defaults.items() if name != "lr_warmup"}
    for setting, value in defaults.items():
        reading.default(setting, value)
    if reading.values.get("lr_scheduler") in ("warmup_stable_decay", "cosine_with_min_lr"):
        reading.default("lr_scheduler_min_lr_ratio", 0.0)
    if reading.values.get("lr_scheduler") == "warmup_stable_decay":
        reading.default("lr_decay", 0.0)


def _resolution(reading: Reading, name: str) -> None:
    """``"512,768"``, ``512`` or ``[512, 768]``: here the square with as many pixels."""
    value = reading.value(name)
    parts = value if isinstance(value, list) else re.split(r"[,x×]", str(value))
    try:
        sides = [as_number(part) for part in parts if str(part).strip()]
    except Unfit:
        sides = []
    if len(sides) not in (1, 2) or min(sides) <= 0:
        reading.ignore(name, "bad_resolution")
        return
    side = round(math.sqrt(sides[0] * sides[-1]))
    if sides[0] != sides[-1]:
        reading.differ(reading.key(name), value, "not_square", side=side)
    reading.take(name, "resolution", side)


def _checkpoint(reading: Reading, name: str) -> None:
    if reading.text(name).lower().endswith(MODEL_SUFFIXES):
        reading.take(name, "checkpoint")
    else:
        reading.ignore(name, "not_a_file")


def _output_name(reading: Reading, name: str) -> None:
    text = reading.text(name)
    if re.search(r'[\\/:*?"<>|\x00-\x1f]', text) or text.strip(".") == "" or len(text) > 200:
        reading.ignore(name, "bad_name")
    else:
        reading.take(name, "name")


def _tokens(reading: Reading, name: str) -> None:
    if reading.number(name) == 255:
        reading.differ(reading.key(name), 255, "tokens_255")
        reading.take(name, "max_token_length", 225)


def _precision(reading: Reading, name: str) -> None:
    text = reading.text(name)
    reading.take(name, name, PRECISIONS.get(text, text))


def _prediction(reading: Reading, name: str) -> None:
    if reading.switch(name):
        reading.take(name, "prediction_type", "v_prediction")
    else:
        reading.ignore(name, "family")


def _terminal(reading: Reading, name: str) -> None:
    if reading.switch(name):
        reading.take(name, name, "yes")
    else:
        reading.ignore(name, "family")


def _masked(reading: Reading, name: str) -> None:
    masks = reading.switch("alpha_mask") or "conditioning_data_dir" in reading.left
    reading.ignore(name, "off" if not reading.switch(name) else "masked" if masks else "masked_without")


def _clip_skip(reading: Reading, name: str) -> None:
    if reading.number(name) == 0:
        reading.take(name, name, 1)


def _multipliers(reading: Reading, name: str) -> None:
    reading.take(name, name, ", ".join(reading.texts(name)))


def _separator(reading: Reading, name: str) -> None:
    reading.ignore(name, "as_here" if reading.text(name) == "," else "caption_grammar")


def _format(reading: Reading, name: str) -> None:
    reading.ignore(name, "as_here" if reading.text(name) == "safetensors" else "format")


RULES: dict[str, Callable[[Reading, str], None]] = {
    "resolution": _resolution,
    "pretrained_model_name_or_path": _checkpoint,
    "output_name": _output_name,
    "max_token_length": _tokens,
    "mixed_precision": _precision,
    "save_precision": _precision,
    "v_parameterization": _prediction,
    "zero_terminal_snr": _terminal,
    "masked_loss": _masked,
    "clip_skip": _clip_skip,
    "base_weights_multiplier": _multipliers,
    "caption_separator": _separator,
    "save_model_as": _format,
}
