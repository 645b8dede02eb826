"""A LoRA's own metadata as a config: "train again like this one"."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lora_trainer.errors import BadSettings
from lora_trainer.interop.convert import Unfit, as_whole
from lora_trainer.interop.datasets import put_datasets
from lora_trainer.interop.networks import put_network_args
from lora_trainer.interop.reading import Imported, Note, Reading, Taken
from lora_trainer.presets.own import SETTINGS_KEY
from lora_trainer.settings import fields, from_flat, to_flat

RENAMED = {
    "ss_batch_size_per_device": "train_batch_size",
    "ss_debiased_estimation": "debiased_estimation_loss",
    "ss_lr_scheduler": "lr_scheduler",
}
# What the metadata tells of the run's course and outcome, not of how it was set up.
OUTCOME = """
    ss_session_id ss_training_started_at ss_training_finished_at ss_steps ss_epoch ss_num_train_images ss_num_reg_images
    ss_num_validation_images ss_total_batch_size ss_tag_frequency ss_bucket_info ss_sd_scripts_commit_hash
    ss_sd_model_hash ss_new_sd_model_hash ss_vae_hash ss_new_vae_hash ss_num_batches_per_epoch
    sshs_model_hash sshs_legacy_hash lora_trainer_version lora_trainer_settings
"""
# The like in ``ss_datasets``; its folders are names without a place.
TOLD = """
    tag_frequency bucket_info num_train_images num_reg_images img_count image_dir is_reg is_dreambooth metadata_file
"""
PLACES = ("ss_dataset_dirs", "ss_reg_dataset_dirs", "ss_sd_model_name", "ss_vae_name")
FLAGS = {"True": True, "False": False}


def own_settings(metadata: Mapping[str, str]) -> Imported | None:
    """The settings that a file of ours holds whole; None where it holds none that can be read. What another version
    knows and this one does not is ignored."""
    values = _json(metadata.get(SETTINGS_KEY, ""))
    if not isinstance(values, dict):
        return None
    taken, ignored = [], []
    for name, value in values.items():
        if name not in fields():
            ignored.append(Note(name, str(value), "unknown"))
            continue
        try:
            becomes = to_flat(from_flat({name: value}))[name]
        except BadSettings:
            ignored.append(Note(name, str(value), "setting_type", {"setting": name}))
        else:
            taken.append(Taken(name, becomes, name, becomes))
    return Imported("own", {one.setting: one.becomes for one in taken}, tuple(taken), tuple(ignored), ())


def put_metadata(reading: Reading, metadata: dict[str, str], tensors: Sequence[str]) -> None:
    """Add what the ``ss_…`` keys tell. A file without a text encoder's tensors was trained on the U-Net alone."""
    special = {
        "ss_resolution": lambda value: reading.put("resolution", re.findall(r"\d+", value), "ss_resolution"),
        "ss_optimizer": lambda value: _put_optimizer(reading, value),
        "ss_network_args": lambda value: _put_network(reading, value),
        "ss_datasets": lambda value: _put_datasets(reading, value),
        "ss_output_name": lambda value: reading.put("output_name", value, "ss_output_name"),
        "modelspec.trigger_phrase": lambda value: _put_trigger(reading, value, metadata),
    }
    _put_length(reading, metadata)
    for key, value in metadata.items():
        if key in special:
            special[key](str(value))
        elif key in ("ss_num_epochs", "ss_max_train_steps"):
            continue
        elif key in OUTCOME.split():
            reading.drop(key, value, "outcome")
        elif key in PLACES:
            reading.drop(key, value, "place")
        elif key.startswith("modelspec."):
            reading.drop(key, value, "card")
        elif key == "ss_base_model_version":
            reading.drop(key, value, "family")
        elif key.startswith("ss_"):
            reading.put(RENAMED.get(key, key[3:]), FLAGS.get(value, value), key)
        else:
            reading.drop(key, value, "unknown")
    if tensors and not any(name.startswith("lora_te") for name in tensors):
        reading.put("network_train_unet_only", True, "(no text encoder in the file)")


def _put_length(reading: Reading, metadata: dict[str, str]) -> None:
    """Epochs where the steps fill them, as they do unless the run was set to end after a number of steps."""
    epochs, steps = metadata.get("ss_num_epochs"), metadata.get("ss_max_train_steps")
    try:
        per_epoch = as_whole(metadata.get("ss_num_batches_per_epoch", "0"))
        batches = as_whole(metadata.get("ss_gradient_accumulation_steps", "1"))
        full = -(-per_epoch // max(batches, 1)) * as_whole(epochs) == as_whole(steps)
    except Unfit:
        full = epochs is not None
    used, other = ("max_train_epochs", "max_train_steps") if full else ("max_train_steps", "max_train_epochs")
    keys = {"max_train_epochs": ("ss_num_epochs", epochs), "max_train_steps": ("ss_max_train_steps", steps)}
    key, value = keys[used]
    if value is not None:
        reading.put(used, value, key)
    key, value = keys[other]
    if value is not None:
        reading.drop(key, value, "same_length")


def _put_optimizer(reading: Reading, text: str) -> None:
    """``package.module.Class(argument=value,…)``; the class' name alone is kohya's name of it."""
    name, _, rest = text.partition("(")
    short = name.rpartition(".")[2]
    short = {"Adafactor": "AdaFactor", "DAdaptAdamPreprint": "DAdaptation", "SGD": "SGDNesterov"}.get(short, short)
    known_home = name.startswith(
        ("torch.", "bitsandbytes.", "transformers.", "lion_", "dadapt", "prodigy", "schedulef")
    )
    reading.put("optimizer_type", short if known_home or "." not in name else name, "ss_optimizer")
    arguments = re.split(r",(?![^(\[]*[)\]])", rest.rstrip().removesuffix(")"))
    if kept := [argument.strip() for argument in arguments if "=" in argument and "momentum" not in argument]:
        reading.put("optimizer_args", [a for a in kept if not a.startswith("nesterov")], "ss_optimizer arguments")


def _put_network(reading: Reading, text: str) -> None:
    table = _json(text)
    if not isinstance(table, dict):
        reading.drop("ss_network_args", text, "bad_argument")
        return
    put_network_args(reading, [f"{name}={value}" for name, value in table.items()], "ss_network_args")


def _put_datasets(reading: Reading, text: str) -> None:
    """What kohya's dataset configs left; it names folders without saying where they are."""
    datasets = _json(text)
    if not isinstance(datasets, list):
        reading.drop("ss_datasets", text, "bad_argument")
        return
    cleaned = []
    for dataset in (one for one in datasets if isinstance(one, dict)):
        reading.drop("ss_datasets", ", ".join(name for name in dataset if name in TOLD.split()), "outcome")
        rest = {name: value for name, value in dataset.items() if name not in TOLD.split()}
        rest["batch_size"] = rest.pop("batch_size_per_device", None)
        listed = rest.get("subsets")
        subsets = [subset for subset in listed if isinstance(subset, dict)] if isinstance(listed, list) else []
        rest["subsets"] = [{n: v for n, v in s.items() if n == "is_reg" or n not in TOLD.split()} for s in subsets]
        cleaned.append(rest)
    put_datasets(reading, {"datasets": cleaned}, "ss_datasets ")


def _put_trigger(reading: Reading, value: str, metadata: dict[str, str]) -> None:
    """Only our own files say it of a word that starts every caption; others' captions hold theirs already."""
    if "lora_trainer_version" in metadata and value.strip():
        reading.also("modelspec.trigger_phrase", value, "trigger", value.strip())
    else:
        reading.drop("modelspec.trigger_phrase", value, "card")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
