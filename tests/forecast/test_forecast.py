"""Forecasts against published measurements, former runs and hand-made cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.dataset.examples import gather
from lora_trainer.events import Progress, Stage, Started, Stepped
from lora_trainer.forecast import disk
from lora_trainer.forecast.machine import Machine, machine
from lora_trainer.forecast.memory import GIB, adapter_weights, needed, weights_size
from lora_trainer.forecast.model import Model, model_of
from lora_trainer.forecast.naming import free_name, name_from
from lora_trainer.forecast.pace import FORWARD, forward_tflop, measured, rough
from lora_trainer.forecast.unusual import Case, remarks, unusual
from lora_trainer.forecast.wording import duration, size
from lora_trainer.picking.files import check_name
from lora_trainer.run import Run
from lora_trainer.settings import Settings, from_flat
from tests.presets.test_presets import REAL
from worlds.sprites.concepts import SETS

SPRITES = SETS.with_name("sprites.safetensors")
IMAGES = {"images": str(SETS / "ghost"), "trigger": "ghst", "name": "ghost"}


@pytest.fixture(scope="module")
def sprites() -> Model:
    return model_of(open_checkpoint(SPRITES))


def flat(**values: Any) -> Settings:
    return from_flat(values)


@pytest.mark.parametrize(
    ("family", "recomputed", "published"),
    [("SD1", False, 2.87), ("SDXL", False, 13.03), ("SD1", True, 1.98), ("SDXL", True, 6.53)],
)
def test_memory_agrees_with_what_was_measured_elsewhere(family: str, recomputed: bool, published: float) -> None:
    """SimpleTuner's figures, with the U-Net alone on the card."""
    model, settings = (
        REAL[family],
        flat(gradient_checkpointing=recomputed, network_dim=4, resolution=REAL[family].resolution),
    )
    others = weights_size(model, settings) - 2 * model.unet
    assert (needed(model, settings) - others) / GIB == pytest.approx(published, rel=0.15, abs=0.5)


def test_memory_grows_with_what_it_should() -> None:
    model, base = REAL["SDXL"], flat(resolution=1024)
    for change in (
        {"batch_size": 2},
        {"network_dim": 64},
        {"ema_decay": 0.9},
        {"text_encoder_lr": 1e-5},
        {"mixed_precision": "fp32"},
    ):
        assert needed(model, flat(resolution=1024, **change)) > needed(model, base)
    for change in ({"gradient_checkpointing": True}, {"resolution": 512}, {"optimizer_type": "AdamW8bit"}):
        assert needed(model, flat(**{"resolution": 1024, **change})) < needed(model, base)


def test_the_small_world_is_seen_for_what_it_is(sprites: Model) -> None:
    assert (sprites.family, sprites.resolution, sprites.tiny) == ("SD1", 128, True)
    assert sprites.size == pytest.approx(SPRITES.stat().st_size, rel=0.01)


def test_a_files_size_is_that_of_its_tensors(sprites: Model) -> None:
    """192 layers of the U-Net were counted by the trainer itself for this checkpoint: sum of (in + out) times rank."""
    settings = flat(network_dim=16)
    weights = adapter_weights(sprites, settings.network, settings.optimizer)
    assert weights == 16 * sprites.linear_ranks
    assert disk.file_size(sprites, settings) == pytest.approx(2 * weights + 150_000)
    assert adapter_weights(sprites, flat(network_type="LoCon").network, settings.optimizer) > weights


@pytest.mark.parametrize("family", ["SD1", "SD2", "SDXL"])
def test_operations_go_through_the_counted_sizes(family: str) -> None:
    for side, counted in FORWARD[family].items():
        assert forward_tflop(REAL[family], side) == pytest.approx(counted, rel=0.01)
    sides = [forward_tflop(REAL[family], side) for side in range(192, 2048, 64)]
    assert sides == sorted(sides)


def record(folder: Path, seconds: float, **values: Any) -> Run:
    run = Run.create(folder, flat(**{**IMAGES, **values}))
    run.append(Started(name="x", images=24, held_out=2, epochs=2, steps=20, device="cpu", checkpoint="sprites"))
    run.append(Stage(stage="training", total=20))
    for step in range(1, 21):
        slow = 40 * seconds if step == 9 else seconds
        run.append(Stepped(step=step, epoch=1 + (step > 10), loss=0.1, lr=1e-4, seconds=slow))
    run.append(Stage(stage="grid", total=3))
    run.append(Progress(stage="grid", done=0, total=3))
    return run


def test_a_former_run_of_the_same_class_tells_the_pace(sprites: Model, tmp_path: Path) -> None:
    runs = [record(tmp_path, 0.5, batch_size=4), record(tmp_path, 0.25, unet_lr=5e-4, epochs=3)]
    pace = measured(runs, flat(**IMAGES), sprites, "cpu")
    assert pace is not None and pace.measured
    assert pace.step_s == pytest.approx(0.25)  # without the step during which something else happened
    assert measured(runs, flat(**IMAGES, resolution=256), sprites, "cpu") is None
    assert measured(runs, flat(**IMAGES), sprites, "cuda") is None


def test_without_one_the_pace_is_rough_and_grows(sprites: Model) -> None:
    there = Machine("cpu", None, 2e10)
    one, four = (rough(flat(resolution=128, batch_size=batch), sprites, there, 2, 4) for batch in (1, 4))
    assert four.step_s == pytest.approx(4 * one.step_s) and not one.measured
    assert one.total(100, 2, 10, 24) > 100 * one.step_s
    card = Machine("cuda", 24 * GIB, 50e12)
    assert rough(flat(resolution=1024), REAL["SDXL"], card, 2, 4).step_s >= 0.6
    assert machine("cpu").flops > 1e8


def case(sprites: Model, steps: int = 400, **values: Any) -> Case:
    settings = flat(**{**IMAGES, "resolution": 128, "min_bucket_reso": 64, "unet_lr": 2e-3, **values})
    return Case(settings, gather(settings.data, settings.captions, 1), steps, sprites)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"unet_lr": 0.5}, "rate_high"),
        ({"unet_lr": 1e-6}, "rate_low"),
        ({"optimizer_type": "Lion", "unet_lr": 3e-3}, "rate_high"),
        ({"text_encoder_lr": 3e-3}, "text_rate"),
        ({"network_dim": 256}, "rank"),
        ({"network_alpha": 32.0}, "alpha"),
        ({"resolution": 512}, "enlarged"),
        ({"resolution": 512}, "resolution_model"),
        ({"repeats": 500}, "views_many"),
        ({"epochs": 1, "repeats": 1}, "views_few"),
        ({"epochs": 1}, "epochs_one"),
        ({"epochs": 90}, "epochs_many"),
        ({"batch_size": 64}, "batch_images"),
        ({"caption_dropout_rate": 0.9}, "dropout"),
        ({"trigger": "Girl"}, "trigger_common"),
        ({"shuffle_caption": True, "keep_tokens": 0}, "trigger_shuffled"),
        ({"validation_split": 0.0}, "not_measured"),
        ({"grid": False}, "no_grid"),
    ],
)
def test_what_is_unusual_is_found(sprites: Model, values: dict[str, Any], key: str) -> None:
    found = {one.key: one for one in remarks(case(sprites, **values))}
    assert key in found
    assert found[key].text("en") != found[key].text("zh")
    assert found[key].field in (*values, "repeats", "epochs")


def test_few_steps_and_the_optimizers_own_advice(sprites: Model) -> None:
    assert "steps_few" in {one.key for one in remarks(case(sprites, steps=20))}
    assert next(one["field"] for one in unusual(case(sprites, optimizer_type="Prodigy", unet_lr=1e-4))) == "unet_lr"


def test_usual_settings_are_silent(sprites: Model) -> None:
    assert remarks(case(sprites)) == []


def test_names_are_made_that_every_system_takes(tmp_path: Path) -> None:
    for text in ("a/b:c", "  ..", "CON", "我的角色", "x" * 300, "a\nb", "NUM", ""):
        check_name(name_from(text))
    (tmp_path / "miku-000001.safetensors").touch()
    assert free_name("miku", tmp_path) == "miku_v2"
    assert free_name("miku", tmp_path, frozenset({"miku_v2"})) == "miku_v3"
    assert free_name("other", tmp_path) == "other"


def test_lengths_and_sizes_as_people_say_them() -> None:
    told = [duration(seconds) for seconds in (20, 90, 3599, 3700, 7500, 300_000)]
    assert told == ["less than a minute", "2 min", "60 min", "1 h", "2 h 5 min", "3 days"]
    assert [size(count) for count in (10, 850 << 20, 11 << 30, 400 << 30)] == ["1 MB", "850 MB", "11.0 GB", "400 GB"]
