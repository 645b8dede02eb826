"""The images' metadata has the shape of kohya's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lora_trainer.dataset.captions import Wording, tags
from lora_trainer.dataset.examples import placed
from lora_trainer.dataset.metadata import bucket_info, dataset_dirs, reg_dataset_dirs, tag_frequency
from lora_trainer.dataset.scan import Item
from lora_trainer.settings import DataSettings


def item(caption: str, group: str, folder_repeats: int, **values: Any) -> Item:
    numbers = {"width": 64, "height": 64, "repeats": folder_repeats, **values}
    return Item(Path("a.png"), Wording((), tuple(tags(caption))), group=group, folder_repeats=folder_repeats, **numbers)


ITEMS = [
    item("Sks, Hat", "20_sks", 20),
    item("sks, hat, sky", "20_sks", 20, repeats=3),
    item("", "flat", 3),
    item("girl", "1_girl", 1, repeats=5, is_reg=True),
    item("girl", "1_girl", 1, repeats=4, is_reg=True, width=128),
]


def test_groups() -> None:
    assert tag_frequency(ITEMS) == {"20_sks": {"sks": 2, "hat": 2, "sky": 1}, "flat": {}}
    assert dataset_dirs(ITEMS) == {
        "20_sks": {"n_repeats": 20, "img_count": 2},
        "flat": {"n_repeats": 3, "img_count": 1},
    }
    assert reg_dataset_dirs(ITEMS) == {"1_girl": {"n_repeats": 1, "img_count": 2}}
    assert reg_dataset_dirs(ITEMS[:3]) == {}


def test_buckets() -> None:
    data = DataSettings(resolution=64)
    found = bucket_info(placed(ITEMS, data))
    assert found["buckets"] == {"0": {"resolution": [64, 64], "count": 20 + 3 + 3 + 5 + 4}}
    assert found["mean_img_ar_error"] == pytest.approx(abs(1 - 2) / 5)
    exact = bucket_info(placed(ITEMS, DataSettings(resolution=512, bucket_no_upscale=True)))
    assert exact["buckets"] == {
        "0": {"resolution": [64, 64], "count": 31},
        "1": {"resolution": [128, 64], "count": 4},
    }
    assert exact["mean_img_ar_error"] == 0
    assert json.loads(json.dumps(exact)) == exact
    assert bucket_info([]) == {"buckets": {}, "mean_img_ar_error": 0}
