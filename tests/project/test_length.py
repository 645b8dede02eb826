"""What a run would learn from, told without opening its images: the same as the run itself finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_trainer.dataset.examples import gather
from lora_trainer.errors import BadDataset
from lora_trainer.project import length
from lora_trainer.project.length import planned_dataset
from lora_trainer.settings import from_flat
from tests.dataset.files import save
from tests.project.sets import filled


def test_a_plan_learns_from_what_the_run_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = filled(tmp_path, 8)
    save(tmp_path / "reg" / "4_person" / "a.png")
    values = {"images": str(project.images_folder), "reg_data_dir": str(tmp_path / "reg"), "trigger": "mychr"}
    settings = from_flat({**values, "resolution": 64, "class_tokens": "person"})
    project.change_settings({"class_tokens": "person"})
    real = gather(settings.data, settings.captions, settings.training.seed)
    monkeypatch.setattr("PIL.Image.Image.load", None)  # nothing is decoded
    told = planned_dataset(project, settings)
    for told_part, real_part in ((told.learnt, real.learnt), (told.held_out, real.held_out)):
        assert [(e.item.path, e.item.repeats, e.item.is_reg, e.placement) for e in told_part] == [
            (e.item.path, e.item.repeats, e.item.is_reg, e.placement) for e in real_part
        ]
        own = [e for e in told_part if not e.item.is_reg]
        assert [e.item.caption for e in own] == [e.item.caption for e in real_part if not e.item.is_reg]


def test_an_image_that_would_stop_the_run_stops_the_plan(tmp_path: Path) -> None:
    project = filled(tmp_path, 3)
    (project.images_folder / "broken.png").write_bytes(b"no picture")
    with pytest.raises(BadDataset, match=r"broken\.png"):
        planned_dataset(project, from_flat({"images": str(project.images_folder)}))
    assert len(length.dataset_of(project, from_flat({"images": str(project.images_folder)})).examples) == 3
