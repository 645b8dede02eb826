"""Settings: every field documented, limits enforced, and the same through TOML and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_trainer.errors import BadSettings
from lora_trainer.settings import Settings, changed, fields, from_flat, help_texts, to_flat
from lora_trainer.settings_file import read_settings, to_toml

CHANGES = {
    "images": "D:\\图片 \"a\"",
    "epochs": 3,
    "unet_lr": 3e-5,
    "enable_bucket": False,
    "sample_prompts": ("a, b", "c"),
    "grid_weights": (0.5, 1.0),
}  # fmt: skip


def test_every_setting_has_a_line_of_help_and_a_unique_name() -> None:
    assert set(help_texts()) == set(fields()) == set(to_flat(Settings()))
    assert all(text.endswith(".") for text in help_texts().values())


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_file_turns_back_into_the_same_settings(tmp_path: Path, suffix: str) -> None:
    settings = changed(Settings(), **CHANGES)
    path = tmp_path / f"run{suffix}"
    text = to_toml(settings) if suffix == ".toml" else json.dumps(to_flat(settings))
    path.write_text(text, encoding="utf-8")
    assert read_settings(path) == settings


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"epochs": 0}, "setting_range"),
        ({"epochs": 2.5}, "setting_type"),
        ({"epochs": True}, "setting_type"),
        ({"lr_scheduler": "zigzag"}, "setting_choice"),
        ({"unet_lrr": 1.0}, "setting_unknown"),
        ({"unet_lr": float("nan")}, "setting_range"),
        ({"background": "#fff"}, "setting_colour"),
        ({"background": "transparent"}, "setting_colour"),
    ],
)
def test_bad_values_name_their_setting(values: dict[str, object], key: str) -> None:
    with pytest.raises(BadSettings) as caught:
        from_flat(values)
    assert caught.value.key == key
    assert caught.value.field == next(iter(values))
    assert str(next(iter(values))) in caught.value.text("zh")


def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    for content in (b"epochs = ", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(BadSettings) as caught:
            read_settings(path)
        assert caught.value.key == "settings_file"
