"""The sentence has the very numbers of the training's plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_trainer.dataset.checks import survey
from lora_trainer.dataset.checks.balance import balance, dataset_of
from lora_trainer.dataset.examples import gather
from lora_trainer.settings import Settings, from_flat
from lora_trainer.training.plan import Plan
from tests.dataset.checks.sets import add, scene, sound

PLAIN = {"repeats": 8, "epochs": 10, "batch_size": 2, "validation_split": 0.0, "resolution": 256}


def of(settings: Settings) -> tuple[str, str]:
    found = balance(dataset_of(survey(settings.data, settings.captions), settings), settings)
    plan = Plan(gather(settings.data, settings.captions, settings.training.seed), settings)
    assert (found.steps, found.epochs, found.steps_per_epoch) == (plan.steps, plan.epochs, plan.steps_per_epoch)
    assert found.seen == plan.images_per_epoch
    return found.sentence("en"), found.sentence("zh")


def test_the_sentence(tmp_path: Path) -> None:
    sound(tmp_path, 24)
    english, chinese = of(from_flat({**PLAIN, "images": str(tmp_path)}))
    assert english == "24 images × 8 repeats × 10 epochs ÷ 2 = 960 steps"
    assert chinese == "24 张图片 × 8 次重复 × 10 轮 ÷ 2 = 960 步"


@pytest.mark.parametrize(
    ("changes", "english"),
    [
        ({"validation_split": 0.1}, "× 10 epochs ÷ 2 ≈"),
        ({"max_train_steps": 100}, "100 steps end in epoch"),
        ({"gradient_accumulation_steps": 3}, "÷ 6 ≈"),
        ({"batch_size": 5}, "÷ 5 ≈"),
        ({"bucket_no_upscale": True}, "steps"),
    ],
)
def test_folders_buckets_and_settings(tmp_path: Path, changes: dict[str, object], english: str) -> None:
    folder = tmp_path / "set"
    sound(folder, 5)
    sound(folder / "3_inner thing", 6, first=10)
    add(scene(30, 480, 256), folder / "wide.png")
    (folder / "repeats.txt").write_text("wide.png: 5\n", encoding="utf-8")
    sound(tmp_path / "class", 4, first=40)
    settings = from_flat({**PLAIN, "images": str(folder), "reg_data_dir": str(tmp_path / "class"), **changes})
    sentence, _ = of(settings)
    assert english in sentence
    assert "regularisation images" in sentence
    assert "× 5 repeats" in sentence
