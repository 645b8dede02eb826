"""Presets are small, say why, hold in their memory, and the user's own are looked at closely."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lora_trainer.errors import BadSettings, Unknown
from lora_trainer.forecast.memory import GIB, needed
from lora_trainer.forecast.model import Model
from lora_trainer.language import texts
from lora_trainer.presets.composing import Known, Preset, built_in, compose, find_built_in, shown
from lora_trainer.presets.differences import PROCESSOR
from lora_trainer.presets.own import PERSONAL, OwnPresets, read_text, shareable, to_text
from lora_trainer.settings import from_flat

ALL = list(built_in())
# The families' real checkpoints in numbers: U-Net, all weights, bytes in fp16, numbers of a rank.
REAL = {
    "SD1": Model("SD1", "SD1", 512, 859_520_964, 1_066_235_307, 2_132_470_614, 0, 797_184, 2_000_000, (165_888,)),
    "SD2": Model("SD2", "SD2", 768, 865_910_724, 1_289_952_427, 2_579_904_854, 0, 830_000, 2_000_000, (318_000,)),
    "SDXL": Model(
        "SDXL", "SDXL", 1024, 2_567_463_684, 3_468_840_551, 6_937_681_102, 0, 2_660_000, 3_000_000, (165_888,)
    ),
}


def test_the_ids_are_unlike() -> None:
    assert len({preset.id for preset in ALL}) == len(ALL) == 54


@pytest.mark.parametrize("preset", ALL, ids=lambda preset: preset.id)
def test_every_value_holds_and_has_a_reason_in_both_languages(preset: Preset) -> None:
    preset.settings()
    assert set(preset.reasons) == set(preset.values)
    assert len(preset.values) < 20
    for language in ("en", "zh"):
        said = preset.why(language)
        assert all(said.values()) and preset.title(language)
        assert all(f"preset.reason.{key}" in texts(language) for key in preset.reasons.values())


@pytest.mark.parametrize("preset", [p for p in ALL if p.memory_gb], ids=lambda preset: preset.id)
def test_a_preset_needs_no_more_memory_than_it_is_for(preset: Preset) -> None:
    assert preset.memory_gb is not None
    if (preset.family, preset.memory_gb) == ("SDXL", 6):
        pytest.skip("the weights alone fill it; the forecast says so")
    assert needed(REAL[preset.family], preset.settings()) <= preset.memory_gb * GIB


def test_what_is_known_of_checkpoint_and_images_counts() -> None:
    plain, told = compose("character", "SD1", 8), compose("character", "SD1", 8, Known(640, images=40))
    assert (plain.values["resolution"], told.values["resolution"]) == (512, 640)
    assert "repeats" not in plain.values
    assert told.values["repeats"] == 10
    assert compose("style", "SDXL", 12, Known(images=5000)).values["repeats"] == 1


def test_the_small_world_gets_squares_of_its_own_size_and_longer_steps() -> None:
    preset = compose("character", "SD1", PROCESSOR, Known(128, tiny=True, images=24))
    wanted = {"resolution": 128, "min_bucket_reso": 128, "max_bucket_reso": 128, "unet_lr": 2e-3, "repeats": 8}
    assert {name: preset.values[name] for name in wanted} == wanted


def test_the_rate_grows_with_the_root_of_the_batch() -> None:
    for preset in ALL:
        together = preset.values["batch_size"] * preset.values.get("gradient_accumulation_steps", 1)
        assert preset.values["unet_lr"] == pytest.approx(1e-4 * math.sqrt(together), rel=0.02)


def test_a_preset_is_found_by_its_id_alone() -> None:
    found = find_built_in("style-sdxl-12")
    assert found is not None and found.title() == "SDXL · style · 12 GB"
    assert find_built_in("../x") is None


def test_numbers_are_said_without_powers() -> None:
    assert [shown(value) for value in (1e-4, 2e-3, 8.0, 16, True)] == ["0.0001", "0.002", "8", "16", "True"]


def test_own_presets_are_kept_replaced_and_removed(tmp_path: Path) -> None:
    own = OwnPresets(tmp_path)
    assert own.list() == []
    first = own.save("  my   own ", {"network_dim": 64, "images": "/secret", "trigger": "x"})
    assert (first.name, dict(first.values)) == ("my own", {"network_dim": 64})
    assert own.save("my own", {"unet_lr": 1}).id == first.id
    assert dict(own.find(first.id).values) == {"unet_lr": 1.0}
    assert len(own.list()) == 1
    own.delete(first.id)
    with pytest.raises(Unknown):
        own.find(first.id)


def test_damaged_files_are_passed_over(tmp_path: Path) -> None:
    own = OwnPresets(tmp_path)
    own.save("good", {"epochs": 3})
    (tmp_path / "own-1.json").write_bytes(b"\xff\x00")
    (tmp_path / "own-2.json").write_text('{"lora_trainer_preset": 1, "name": "x", "settings": {"epochs": "many"}}')
    (tmp_path / "own-3.json").write_text("[" * 100_000)
    assert [preset.name for preset in own.list()] == ["good"]


@pytest.mark.parametrize(
    ("name", "values"), [("", {}), ("x" * 99, {}), ("a\u202eb", {}), ("x", {"epochs": 0}), ("x", {"colour": 1})]
)
def test_what_cannot_be_kept(tmp_path: Path, name: str, values: dict[str, object]) -> None:
    with pytest.raises(BadSettings):
        OwnPresets(tmp_path).save(name, values)
    assert not list(tmp_path.iterdir())


def test_a_file_holds_what_it_says_and_no_places() -> None:
    assert read_text(to_text("n", {"grid_weights": (0.5, 1.0)})) == ("n", {"grid_weights": (0.5, 1.0)})
    shared = shareable(from_flat({"images": "/secret", "network_weights": "/secret", "epochs": 3}))
    assert "secret" not in json.dumps(shared)
    assert shared["epochs"] == 3
    assert {"images", "checkpoint", "out"} <= set(PERSONAL)
