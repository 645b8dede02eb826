"""The main job end to end on a tiny random checkpoint: files, events, the same bits, stops, and early refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from lora_trainer.adapter.kohya import read_lora
from lora_trainer.adapter.layers import load_lora
from lora_trainer.checkpoint.adopt import adopt
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.checkpoint.precision import choose, place
from lora_trainer.checkpoint.sampling import Drawing, draw_latents, draw_picture
from lora_trainer.commands import Commands
from lora_trainer.errors import UserError
from lora_trainer.events import Event, Finished, Previewed, Saved, Stage, Stepped, Validated
from lora_trainer.host.standalone import StandaloneHost
from lora_trainer.host.worker import Worker
from lora_trainer.job import Job, prepare, work
from lora_trainer.settings import Settings
from tests.small_run import SMALL, Make, maker
from tests.tiny import write_checkpoint

BASE: dict[str, Any] = {
    **SMALL,
    "sample_prompts": ("mychr, red",),
    "sample_steps": 2,
    "grid_weights": (0.5, 1.0),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("job"))


@pytest.fixture
def make(tmp_path: Path, checkpoint: Path) -> Make:
    return maker(tmp_path / "images", checkpoint, BASE)


def run(
    settings: Settings, home: Path, stop: Callable[[Event, Commands], None] = lambda event, commands: None
) -> tuple[Job, list[Event]]:
    """Do the whole job as the worker does it; ``stop`` may command after any event."""
    commands, events = Commands(), []
    job = prepare(settings, StandaloneHost(home))
    for event in work(job, commands):
        job.run.append(event)
        events.append(event)
        stop(event, commands)
    return job, events


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_the_main_job(make: Make, tmp_path: Path) -> None:
    job, events = run(make(), tmp_path / "home")
    assert [stage.stage for stage in of(events, Stage)] == ["loading", "caching", "training", "grid", "picking"]
    assert len(of(events, Stepped)) == job.plan.steps == 4  # four images learnt from, two in a batch, two epochs
    assert [event.epoch for event in of(events, Validated)] == [0, 1, 2]
    assert len(of(events, Previewed)) == 2
    assert of(events, Finished) == [Finished(outcome="finished", report="report.html")]

    files = [Path(saved.path) for saved in of(events, Saved)]
    assert [file.name for file in files] == ["my_lora-000001.safetensors", "my_lora-000002.safetensors"]
    chosen = json.loads((job.run.folder / "grid" / "choice.json").read_text(encoding="utf-8"))
    assert chosen["weight"] == 1.0
    card = json.loads(files[chosen["epoch"] - 1].with_suffix(".json").read_text(encoding="utf-8"))
    assert (card["activation text"], card["preferred weight"], card["sd version"]) == ("mychr", 1.0, "SD1")
    assert files[chosen["epoch"] - 1].with_suffix(".png").is_file()
    assert (job.run.folder / "grid" / "sheet.png").is_file()
    assert list(job.run.events()) == events
    with safe_open(files[0], "pt") as file:
        metadata = file.metadata()
    assert metadata["ss_output_name"] == "my_lora-000001"
    assert metadata["ss_base_model_version"] == "sd_v1"
    assert json.loads(metadata["ss_tag_frequency"])


@pytest.mark.parametrize("kind", ["LoRA", "LoCon", "LoHa", "LoKr", "DoRA", "IA3"])
@pytest.mark.parametrize("family", ["SD1", "SD2", "SDXL"])
def test_every_family_and_network_trains_and_its_file_says_what_it_learnt(
    make: Make, tmp_path: Path, family: str, kind: str
) -> None:
    """The file, loaded into the untouched model, draws the last preview again. Who else reads it is in
    ``adapter/test_formats.py``."""
    file = write_checkpoint(tmp_path, family=family)
    rates = {"text_encoder_lr": 1e-3, **({"text_encoder_lr2": 1e-3} if family == "SDXL" else {})}
    changes = {"network_type": kind, "epochs": 1, "grid": False, "save_precision": "fp32", **rates}
    settings = make(checkpoint=str(file), max_train_steps=3, batch_size=1, **changes)
    job, events = run(settings, tmp_path / "home")
    assert len(of(events, Stepped)) == 3
    lora = Path(of(events, Saved)[-1].path)
    assert any(name.startswith("lora_te") for name in read_lora(lora)[0])

    parts = adopt(open_checkpoint(file), tmp_path)
    precision = choose("cpu", "fp32")
    place(parts, precision)
    drawing = Drawing(prompt="mychr, red", seed=1, steps=2, cfg_scale=7.0, width=64, height=64)
    plain = draw_latents(parts, drawing, precision)
    load_lora(parts, lora)
    learnt = draw_latents(parts, drawing, precision)
    assert (learnt - plain).abs().max() > 1e-4
    with Image.open(job.run.folder / of(events, Previewed)[-1].path) as preview:
        again = draw_picture(parts, drawing, precision)
        assert np.abs(np.asarray(again, int) - np.asarray(preview.convert("RGB"), int)).max() <= 1


@pytest.mark.parametrize("text_encoder_lr", [0.0, 1e-4])
def test_the_same_seed_gives_the_same_bits(make: Make, tmp_path: Path, text_encoder_lr: float) -> None:
    files = []
    for home in ("one", "two"):
        _, events = run(make(grid=False, text_encoder_lr=text_encoder_lr), tmp_path / home)
        files.append(Path(of(events, Saved)[-1].path).read_bytes())
    assert files[0] == files[1]
    _, events = run(make(grid=False, text_encoder_lr=text_encoder_lr, seed=43), tmp_path / "three")
    assert Path(of(events, Saved)[-1].path).read_bytes() != files[0]


def test_stopping_after_the_epoch_keeps_and_compares_it(make: Make, tmp_path: Path) -> None:
    def stop(event: Event, commands: Commands) -> None:
        if isinstance(event, Stepped) and event.step == 1:
            commands.stop_after_epoch()

    _, events = run(make(), tmp_path / "home", stop)
    assert len(of(events, Saved)) == 1
    assert [stage.stage for stage in of(events, Stage)][-1] == "picking"
    assert of(events, Finished)[0].outcome == "stopped"


def test_stopping_now_ends_after_the_step(make: Make, tmp_path: Path) -> None:
    def stop(event: Event, commands: Commands) -> None:
        if isinstance(event, Stepped) and event.step == 3:
            commands.stop_now()

    _, events = run(make(), tmp_path / "home", stop)
    assert len(of(events, Stepped)) == 3
    assert len(of(events, Saved)) == 1
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"name": "../x"}, "name_path"),
        ({"name": "myNUM"}, "name_placeholder"),
        ({"name": "a STRENGTH"}, "name_placeholder"),
        ({"trigger": " "}, "trigger_empty"),
        ({"unet_lr": 0.0}, "nothing_to_train"),
        ({"mixed_precision": "fp16"}, "fp16_on_cpu"),
        ({"device": "cuda"}, "no_cuda"),
        ({"checkpoint": "missing.safetensors"}, "checkpoint_missing"),
        ({"images": "missing"}, "folder_missing"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], key: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError) as caught:
        prepare(make(**changes), StandaloneHost(tmp_path / "home"))
    assert caught.value.key.endswith(key)
    assert caught.value.text("zh") != caught.value.text("en")
    assert not (tmp_path / "home" / "runs").exists()
    assert not list(tmp_path.glob("home/loras/*"))


def test_a_name_that_is_taken_is_refused(make: Make, tmp_path: Path) -> None:
    taken = tmp_path / "home" / "loras" / "my_lora-000007.safetensors"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"old")
    with pytest.raises(UserError) as caught:
        prepare(make(), StandaloneHost(tmp_path / "home"))
    assert caught.value.key == "name_taken"
    assert taken.read_bytes() == b"old"


def test_the_worker_refuses_a_second_start_and_reports_failures(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    worker = Worker(StandaloneHost(tmp_path / "home", on_event=events.append))
    first = worker.start(make(grid=False))
    with pytest.raises(UserError) as caught:
        worker.start(make(name="second"))
    assert caught.value.key == "busy"
    assert worker.wait(60)
    assert isinstance(events[-1], Finished)

    def broken(*args: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("lora_trainer.job.train", broken)
    second = worker.start(make(name="third", grid=False))
    assert worker.wait(60)
    last = list(second.lines())[-1]
    assert last["kind"] == "failed"
    assert "a bug" in last["message"]
    assert "ZeroDivisionError" in last["detail"]
    assert first.id != second.id


def test_a_run_that_is_paused_gives_everything_back_and_goes_on(make: Make, tmp_path: Path) -> None:
    worker: list[Worker] = []

    def pause(event: Event) -> None:
        if isinstance(event, Stepped) and event.step == 1:
            worker[0].commands.pause()

    worker.append(Worker(StandaloneHost(tmp_path / "home", on_event=pause)))
    run = worker[0].start(make(grid=False, save_state=False))
    assert worker[0].wait(60)
    assert (worker[0].paused, run.outcome()) == (True, "paused")
    with worker[0].host.exclusive("cpu"):  # nobody holds the turn
        pass
    again = Worker(StandaloneHost(tmp_path / "home"))
    assert again.resume(run).id == run.id
    assert again.wait(60)
    assert (again.paused, run.outcome()) == (False, "finished")
    steps = [line["step"] for line in run.lines() if line["kind"] == "stepped"]
    assert steps == [1, 2, 3, 4]
    with safe_open(tmp_path / "home" / "loras" / "my_lora-000002.safetensors", "pt") as file:
        kept = json.loads(file.metadata()["lora_trainer_settings"])
    assert kept["unet_lr"] == 1e-3 and not {"images", "checkpoint"} & set(kept)
