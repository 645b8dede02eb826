"""What the page is told: numbers, sentences in the language asked, and no paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_trainer.api.presenter import STAGES, brief, call, eta_text, present, texts
from lora_trainer.api.watch import INTERRUPTED, View
from lora_trainer.language import LANGUAGES
from lora_trainer.run import Run
from lora_trainer.settings import Settings
from lora_trainer.status import Status
from tests.api.fake import happenings


@pytest.fixture()
def run(home: Path, settings: Settings) -> Run:
    return Run.create(home / "runs", settings)


def view_of(run: Run, status: Status, state: str = "running") -> View:
    return View(run, status, run.settings(), state, "", ours=True)


@pytest.fixture()
def finished(run: Run, settings: Settings) -> View:
    for event in happenings(run, settings):
        run.append(event)
    status = Status()
    for line in run.lines():
        status.follow(line)
    return view_of(run, status, "finished")


def test_a_finished_run(finished: View) -> None:
    shown = present(finished, "en")
    assert shown["name"] == "my_character"
    assert [file["epoch"] for file in shown["files"]] == [1, 2, 3, 4]
    assert shown["files"][0]["call"] == "<lora:my_character-000001:1> mychr"
    assert shown["chosen"]["call"] == "<lora:my_character-000003:0.8> mychr"
    assert shown["previews"][3]["url"] == f"runs/{finished.run.id}/picture/3"
    assert shown["texts"]["headline"] == "Finished"
    assert "80 steps" in shown["texts"]["chart"] and "held-out images" in shown["texts"]["chart"]
    assert shown["series"]["held_out"][0] == (0.0, 0.106)


def test_no_path_is_told_and_all_of_it_is_json(finished: View) -> None:
    told = json.dumps(present(finished, "zh"), ensure_ascii=False, allow_nan=False)
    assert str(finished.run.folder.parent) not in told
    assert ".safetensors" not in told
    assert "samples/" not in told


def test_what_changes_without_an_event_is_part_of_the_whole(finished: View) -> None:
    assert brief(finished).items() <= present(finished, "en").items()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("stage", [*STAGES, "a later stage"])
def test_every_stage_has_its_words(run: Run, stage: str, language: str) -> None:
    status = Status(
        stage=stage, steps=100, step=40, epochs=4, epoch=2, done=3, total=9, losses=[0.1] * 40, seconds=[2.0] * 40
    )
    said = texts(view_of(run, status), language)
    assert said["headline"] and said["progress"] and said["announcement"]
    assert not any("{" in text for text in said.values())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", ["finished", "stopped", "failed", INTERRUPTED])
def test_every_end_has_its_words(run: Run, state: str, language: str) -> None:
    assert texts(view_of(run, Status(), state), language)["headline"]


def test_where_it_stands(run: Run) -> None:
    status = Status(stage="training", steps=100, step=40, epochs=4, epoch=2, losses=[0.1] * 40, seconds=[10.0] * 40)
    said = texts(view_of(run, status), "en")
    assert said["position"] == "Epoch 2 of 4, step 40 of 100"
    assert said["progress"] == "Training: Epoch 2 of 4, step 40 of 100, 40 %"
    assert said["eta"] == "about 10 min left"
    assert texts(view_of(run, status), "zh")["eta"] == "剩余约 10 分钟"


@pytest.mark.parametrize(
    ("done", "seconds", "text"),
    [
        (2, 1.0, "estimating the time left…"),
        (100, 0.05, "less than a minute left"),
        (100, 1.0, "about 15 min left"),
        (100, 10.0, "about 2 h 30 min left"),
    ],
)
def test_time_left(done: int, seconds: float, text: str) -> None:
    status = Status(stage="training", steps=1000, step=done, losses=[0.1] * done, seconds=[seconds] * done)
    assert eta_text(status, "en") == text


def test_no_time_is_promised_outside_of_training() -> None:
    assert eta_text(Status(stage="grid", done=1, total=9), "en") == ""


def test_a_windows_path_gives_the_same_call(run: Run) -> None:
    assert call(r"C:\models\Lora\a-000001.safetensors", 0.75, view_of(run, Status())) == "<lora:a-000001:0.75> mychr"
