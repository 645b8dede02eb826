"""Kohya's dataset configs: ``[general]``, ``[[datasets]]`` and their subsets, of which the nearer one wins."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from lora_trainer.interop.reading import Reading

RENAMED = {"batch_size": "train_batch_size", "image_dir": "train_data_dir"}
NOT_SHARED = ("image_dir", "is_reg", "num_repeats", "class_tokens")


def put_datasets(reading: Reading, config: dict[str, Any], key: str = "") -> None:
    """Add the entries of a dataset config. Only what one folder of images can say has a place: its parent folder
    where all subsets are kohya's ``N_name`` folders in it, else the first subset."""
    general = _table(config.get("general"))
    datasets = [_table(dataset) for dataset in _list(config.get("datasets"))]
    for name in config:
        if name not in ("general", "datasets"):
            reading.put(name, config[name], f"{key}{name}")
    first = datasets[0] if datasets else {}
    for number, dataset in enumerate(datasets[1:], 1):
        reading.drop(f"{key}datasets[{number}]", dataset.get("resolution", ""), "more_datasets")
    subsets = [_table(subset) for subset in _list(first.get("subsets"))]
    training = [subset for subset in subsets if not subset.get("is_reg")]
    own = {name: value for name, value in first.items() if name != "subsets"}
    shared = dict(training[0]) if training else {}
    for where, table in (("general.", general), ("datasets[0].", own), ("subsets[0].", shared)):
        for name, value in table.items():
            if name not in ("image_dir", "is_reg", "num_repeats"):
                reading.put(RENAMED.get(name, name), value, f"{key}{where}{name}")
    if "is_reg" in shared:
        reading.drop(f"{key}subsets[0].is_reg", shared["is_reg"], "off")
    _put_folders(reading, training, {**general, **own}, key)
    _put_regular(reading, [subset for subset in subsets if subset.get("is_reg")], key)


def _put_folders(reading: Reading, subsets: list[dict[str, Any]], outer: dict[str, Any], key: str) -> None:
    folders = [str(subset["image_dir"]) for subset in subsets if subset.get("image_dir")]
    repeats = [_whole(subset.get("num_repeats", outer.get("num_repeats", 1))) for subset in subsets]
    together = len(folders) == len(subsets) > 1 and _common_parent(folders, repeats)
    if together:
        reading.put("train_data_dir", together, f"{key}subsets.image_dir")
        reading.differ(f"{key}subsets.image_dir", ", ".join(folders), "folders_together", folder=together)
    elif folders:
        reading.put("train_data_dir", folders[0], f"{key}subsets[0].image_dir")
    if "num_repeats" in outer and "num_repeats" not in (subsets[0] if subsets else {}):
        reading.put("num_repeats", outer["num_repeats"], f"{key}num_repeats")
    elif subsets and "num_repeats" in subsets[0]:
        reading.put("num_repeats", subsets[0]["num_repeats"], f"{key}subsets[0].num_repeats")
    for number, subset in enumerate(subsets[1:], 1):
        for name, value in subset.items():
            where = f"{key}subsets[{number}].{name}"
            if name in ("image_dir", "num_repeats") and together:
                reading.drop(where, value, "in_parent", folder=together)
            elif name == "image_dir":
                reading.drop(where, value, "more_folders")
            elif value != subsets[0].get(name):
                reading.drop(where, value, "other_subset")
            else:
                reading.drop(where, value, "same_subset")


def _put_regular(reading: Reading, subsets: list[dict[str, Any]], key: str) -> None:
    folders = [str(subset["image_dir"]) for subset in subsets if subset.get("image_dir")]
    repeats = [_whole(subset.get("num_repeats", 1)) for subset in subsets]
    if len(folders) == len(subsets) and (parent := _common_parent(folders, repeats)):
        reading.put("reg_data_dir", parent, f"{key}subsets[is_reg].image_dir")
    elif folders:
        reading.put("reg_data_dir", folders[0], f"{key}subsets[is_reg].image_dir")
        for folder in folders[1:]:
            reading.drop(f"{key}subsets[is_reg].image_dir", folder, "more_folders")
    for subset in subsets:
        for name, value in subset.items():
            if name != "image_dir":
                reading.drop(f"{key}subsets[is_reg].{name}", value, "regular_subset")


def _common_parent(folders: list[str], repeats: list[int | None]) -> str:
    """The folder in which all of them lie, named after kohya's rule with just these repeats; empty where not so."""
    paths = [(PureWindowsPath if "\\" in folder else PurePosixPath)(folder) for folder in folders]
    named = [re.fullmatch(r"([0-9]{1,4})_.*", path.name) for path in paths]
    fits = all(match and int(match[1]) == count for match, count in zip(named, repeats, strict=True))
    parents = {str(path.parent) for path in paths}
    return parents.pop() if fits and len(parents) == 1 else ""


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []
