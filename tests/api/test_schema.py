"""The settings as data: every one of them, with words, limits, and what it needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lora_trainer.api.schema import form, kind_of, settings_schema
from lora_trainer.language import LANGUAGES
from lora_trainer.settings import Settings, fields, from_flat, to_flat

FAMILIES = {"SD1", "SD2", "SDXL"}


def described(language: str = "en") -> dict[str, dict[str, Any]]:
    told = json.loads(json.dumps(form(language)))
    return {field["name"]: field for group in told["groups"] for field in group["fields"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_setting_is_described(language: str) -> None:
    assert list(described(language)) == list(fields())
    for field in described(language).values():
        assert field["label"] and field["help"]
        assert (field["kind"] == "choice") <= (field["default"] in field["choices"])
        numeric = field["kind"] in ("int", "float")
        assert numeric == (field["low"] is not None and field["high"] is not None and field["step"] is not None) or (
            field["kind"] == "choice"
        )


def test_the_kinds() -> None:
    kinds = {name: kind_of(field) for name, (_, field) in fields().items()}
    known = {"images": "text", "epochs": "int", "unet_lr": "float", "grid": "bool", "loss_type": "choice"}
    known |= {"optimizer_type": "suggest", "sample_prompts": "lines", "grid_weights": "numbers"}
    assert known.items() <= kinds.items()


def test_six_are_basic() -> None:
    basic = {name for name, field in described().items() if field["basic"]}
    assert basic == {"resolution", "repeats", "batch_size", "network_dim", "epochs", "unet_lr"}


def test_units_are_said_in_both_languages() -> None:
    assert described("en")["resolution"]["unit"] == "px"
    assert described("zh")["resolution"]["unit"] == "像素"
    assert described()["trigger"]["unit"] == ""


def can_have(name: str, wanted: Any) -> bool:
    if name == "family":
        return wanted in FAMILIES
    default = json.loads(json.dumps(to_flat(Settings())[name]))
    if isinstance(wanted, dict):
        ((how, limit),) = wanted.items()
        return isinstance(default, int | float) if how == "above" else how == "not" and type(limit) is type(default)
    return getattr(from_flat({name: wanted}), fields()[name][0]) is not None


def test_what_is_needed_can_be() -> None:
    """Every need names a setting (or the family) and values that it may have; nothing needs itself."""
    needing = {name: field["needs"] for name, field in described().items() if field["needs"]}
    assert needing["conv_dim"] == {"network_type": ["LoCon", "LoHa", "LoKr", "DoRA"]}
    assert needing["text_encoder_lr2"] == {"family": ["SDXL"]}
    for name, needs in needing.items():
        assert name not in needs
        assert all(wanted and all(can_have(other, one) for one in wanted) for other, wanted in needs.items()), name


def test_the_json_schema_names_the_defaults_and_the_limits() -> None:
    properties = settings_schema()["properties"]
    assert set(properties) == set(fields())
    assert properties["epochs"]["minimum"] == 1 and properties["epochs"]["type"] == "integer"
    assert properties["network_type"]["enum"][0] == "LoRA"
    assert properties["grid_weights"]["items"] == {"type": "number"}
    assert {name: about["default"] for name, about in properties.items()} == to_flat(Settings())
