"""Tagging in the background: modes, one step of the history, stops, failures, and models that are none."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from lora_trainer.captions.selection import Listed
from lora_trainer.errors import BadDataset, BadSettings, Busy
from lora_trainer.project.project import Project
from lora_trainer.project.projects import Projects
from lora_trainer.project.taggers import Taggers
from lora_trainer.project.tagging import Tagging, TaggingOptions
from lora_trainer.project.tagnotes import FILE
from lora_trainer.project.tasks import CANCELLED, DONE, FAILED, Task, Tasks
from lora_trainer.tagging.batch import AT_ONCE
from lora_trainer.tagging.download import Sources
from lora_trainer.tagging.models import TAG_LIST, WD14, WEIGHTS, Model, RemoteFile
from lora_trainer.tagging.tagger import BadTagger
from tests.dataset.files import cut, save, says
from tests.project.models import Captioner, Colours, PaperHost, keep, sources
from tests.tagging.hub import running

COUNT = AT_ONCE + 3
MODEL = WD14[3]


class Bench:
    """A project with images, and everything that tags them."""

    def __init__(self, home: Path) -> None:
        self.project = Projects(home / "projects").create("test")
        self.images = [save(self.project.images_folder / f"{10 + n}.png", 40 + n, 30) for n in range(COUNT)]
        self.tagger = Colours()
        self.host = PaperHost(home, self.tagger, Captioner("blip"))
        self.tasks, self.sources = Tasks(), sources(home)
        self.busy = threading.Event()
        self.tagging = Tagging(Taggers(self.host, lambda: self.sources), self.tasks, self.busy.is_set)

    def tag(self, tagger: str = "deepbooru", **options: Any) -> Task:
        return self.done(self.tagging.start(self.project, TaggingOptions.read({"tagger": tagger, **options})))

    def done(self, task: Task) -> Task:
        self.tasks.wait(task.id, 60)
        assert task.state != "running"
        return task

    def texts(self) -> list[str | None]:
        files = [image.with_suffix(".txt") for image in self.images]
        return [file.read_text(encoding="utf-8").strip() if file.is_file() else None for file in files]

    def caption(self, number: int, text: str) -> None:
        self.images[number].with_suffix(".txt").write_text(text, encoding="utf-8")


@pytest.fixture()
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_missing_captions_are_one_step_of_the_history(bench: Bench) -> None:
    bench.caption(1, "mine")
    task = bench.tag()
    assert (task.state, task.done, task.total) == (DONE, COUNT, COUNT)
    assert task.result == {"tagged": COUNT - 1, "passed": 1, "changed": COUNT - 1, "of": COUNT}
    assert bench.texts()[:3] == ["width 40, a (hat)", "mine", "width 42, a (hat)"]
    assert "deepbooru" in bench.project.history.undo_words.text("zh")
    assert bench.tagger.unloaded == 1 and bench.host.turns == ["taken", "given back"]
    bench.project.history.undo()
    assert bench.texts() == [None, "mine", *[None] * (COUNT - 2)]
    assert bench.project.history.undo_words is None
    bench.project.history.redo()
    assert bench.texts()[2] == "width 42, a (hat)"


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"mode": "overwrite"}, "width 40, a (hat)"),
        ({"mode": "append"}, "Mine, A (Hat), width 40"),
        ({"mode": "prepend"}, "width 40, Mine, A (Hat)"),
        ({"mode": "overwrite", "underscores": True, "blacklist": "A_(hat)"}, "width_40"),
        ({"mode": "overwrite", "escape": True, "order": "alphabetical"}, r"a \(hat\), width 40"),
        ({"mode": "overwrite", "threshold": 0.1, "limit": 3}, "width 40, a (hat), rare"),
        ({"mode": "overwrite", "tagger": "blip"}, "a picture, 40 pixels wide"),
        ({"mode": "missing"}, "Mine, A (Hat)"),
    ],
)
def test_modes_and_wording(bench: Bench, options: dict[str, Any], wanted: str) -> None:
    bench.caption(0, "Mine, A (Hat)")
    assert bench.tag(**options).state == DONE
    assert bench.texts()[0] == wanted


def test_chosen_images_alone(bench: Bench) -> None:
    task = bench.tagging.start(bench.project, TaggingOptions(tagger="deepbooru"), Listed((bench.images[2],)))
    assert bench.done(task).result["changed"] == 1
    assert [text is not None for text in bench.texts()[:4]] == [False, False, True, False]


def test_options_are_remembered(bench: Bench) -> None:
    assert bench.tagging.options(bench.project) == TaggingOptions()
    bench.tag(mode="append", blacklist="rare", threshold=0.5)
    again = Projects(bench.project.folder.parent).find(bench.project.id)
    remembered = bench.tagging.options(again)
    assert (remembered.mode, remembered.blacklist, remembered.threshold) == ("append", "rare", 0.5)
    assert "tagging" not in again.settings


def test_stopped_in_the_middle_nothing_is_lost(bench: Bench) -> None:
    bench.tagger.go.clear()
    task = bench.tagging.start(bench.project, TaggingOptions(tagger="deepbooru"))
    assert bench.tagger.began.wait(30)
    with pytest.raises(Busy):
        bench.tagging.start(bench.project, TaggingOptions(tagger="deepbooru"))
    bench.tasks.cancel(task.id)
    bench.tagger.go.set()
    assert bench.done(task).state == CANCELLED
    tagged = [text for text in bench.texts() if text]
    assert AT_ONCE <= len(tagged) < COUNT and task.result["changed"] == len(tagged)
    assert bench.tagger.unloaded == 1
    bench.project.history.undo()
    assert not any(bench.texts())


def test_a_tagger_that_fails_in_the_middle(bench: Bench) -> None:
    bench.tagger.fails_at = 2
    task = bench.tag()
    assert task.state == FAILED and "no memory" in task.to_dict("zh")["message"]
    assert [text is not None for text in bench.texts()] == [True] * AT_ONCE + [False] * (COUNT - AT_ONCE)
    assert bench.tagger.unloaded == 1 and not (bench.project.folder / FILE).exists()


def test_what_a_crash_left_is_written_at_the_next_tagging(bench: Bench) -> None:
    lines = [{"image": bench.images[n].name, "before": [], "tags": ["found", str(n)], "tagger": "old"} for n in (0, 1)]
    text = "\n".join([*(json.dumps(line) for line in lines), '{"image": "12.p'])
    (bench.project.folder / FILE).write_text(text, encoding="utf-8")
    bench.caption(1, "written meanwhile")
    task = bench.tag()
    assert bench.texts()[:3] == ["found, 0", "written meanwhile", "width 42, a (hat)"]
    assert bench.images[1].name in task.to_dict("en")["notes"][0]
    bench.project.history.undo()
    assert bench.texts()[:3] == ["found, 0", "written meanwhile", None]
    bench.project.history.undo()
    assert bench.texts()[0] is None


def test_a_caption_that_changes_meanwhile_is_kept(bench: Bench) -> None:
    bench.tagger.go.clear()
    task = bench.tagging.start(bench.project, TaggingOptions(tagger="deepbooru"))
    assert bench.tagger.began.wait(30)
    bench.caption(0, "by another program")
    bench.tagger.go.set()
    assert bench.texts()[0] == "by another program"
    assert len(bench.done(task).notes) == 1
    assert bench.texts()[:2] == ["by another program", "width 41, a (hat)"]


def test_files_that_cannot_be_read_are_named(bench: Bench) -> None:
    cut(bench.images[0])
    bench.images[1].with_suffix(".txt").write_bytes("größe".encode("latin-1"))
    bench.images[2].with_suffix(".txt").write_bytes(b"x" * 2_000_000)
    task = bench.tag(mode="overwrite")
    notes = task.to_dict("en")["notes"]
    assert task.state == DONE and len(notes) == 3
    assert all(any(bench.images[n].stem in note for note in notes) for n in range(3))
    assert bench.images[3].with_suffix(".txt").read_text(encoding="utf-8").strip() == "width 43, a (hat)"
    assert bench.images[2].with_suffix(".txt").stat().st_size == 2_000_000


def test_it_waits_while_a_run_trains(bench: Bench) -> None:
    bench.busy.set()
    task = bench.tagging.start(bench.project, TaggingOptions(tagger="deepbooru"))
    while "graphics card" not in task.to_dict("en")["text"]:
        assert task.state == "running"
    assert bench.tagger.batches == 0
    bench.tasks.cancel(task.id)
    assert bench.done(task).state == CANCELLED and bench.host.turns == []
    task = bench.tagging.start(bench.project, TaggingOptions(tagger="deepbooru"))
    bench.busy.clear()
    assert bench.done(task).state == DONE


def test_a_stop_button_that_is_meant_for_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.host.stopped = True
    monkeypatch.setattr(bench.tagging.taggers, "uses_card", lambda name: False)
    assert bench.tag().state == DONE and bench.host.turns == []


def test_the_hosts_own_stop_button(bench: Bench) -> None:
    bench.host.stopped = True
    assert bench.tag().state == CANCELLED
    assert sum(text is not None for text in bench.texts()) == 1


def test_a_model_of_our_own(bench: Bench) -> None:
    pytest.importorskip("onnxruntime")
    keep(bench.sources, MODEL)
    assert bench.tag(MODEL.name, threshold=0.0, character_threshold=0.0, ratings=True).state == DONE
    assert "long hair" in str(bench.texts()[0]) and "^_^" in str(bench.texts()[0])


def broken(bench: Bench, how: str) -> None:
    folder = keep(bench.sources, MODEL, 5 if how == "length" else None)
    if how == "not_onnx":
        (folder / WEIGHTS).write_bytes(b"<html>not found</html>")
    elif how == "list":
        (folder / TAG_LIST).write_text("no,columns\n1,2\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "words"),
    [("not_onnx", "no ONNX model"), ("length", "do not belong together"), ("list", "cannot be read")],
)
def test_models_that_are_none(bench: Bench, how: str, words: str) -> None:
    pytest.importorskip("onnxruntime")
    broken(bench, how)
    task = bench.tag(MODEL.name)
    assert task.state == FAILED and words in task.to_dict("en")["message"]
    assert not any(bench.texts())


def test_a_model_that_is_not_here(bench: Bench) -> None:
    with pytest.raises(BadTagger) as caught:
        bench.tag(MODEL.name)
    assert caught.value.key == "tagger_needs_download" and says(caught.value, MODEL.name, "379 MB", MODEL.repo)
    assert bench.project.read()["tagging"] == {}
    task = bench.tagging.start(bench.project, TaggingOptions(tagger=MODEL.name), download=True)
    assert bench.done(task).state == FAILED and MODEL.repo in task.to_dict("en")["message"]  # no network
    with pytest.raises(BadTagger) as caught:
        bench.tag("somebody")
    assert says(caught.value, "somebody", "deepbooru", MODEL.name)


def test_a_download_with_progress(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    made = keep(Sources(store=tmp_path / "other"), MODEL)
    contents = {name: (made / name).read_bytes() for name in (TAG_LIST, WEIGHTS)}
    tiny = Model("tiny", "a" * 40, tuple(RemoteFile(name, len(content)) for name, content in contents.items()))
    monkeypatch.setattr("lora_trainer.project.taggers.MODELS", (tiny,))
    with running() as hub:
        hub.files = {(tiny.repo, name): content for name, content in contents.items()}
        bench.sources = Sources(store=tmp_path / "hub", endpoint=hub.address)
        options = TaggingOptions(tagger="tiny", threshold=0.0)
        task = bench.done(bench.tagging.start(bench.project, options, download=True))
    assert (task.state, task.to_dict("en")["message"]) == (
        DONE,
        f"Images looked at: 11 of 11; captions changed: {COUNT}.",
    )
    assert bench.texts()[0]


def test_a_download_that_is_stopped(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    content = bytes(24_000_000)
    big = Model("big", "a" * 40, (RemoteFile(WEIGHTS, len(content)),))
    monkeypatch.setattr("lora_trainer.project.taggers.MODELS", (big,))
    with running() as hub:
        hub.files, hub.hold_at = {(big.repo, WEIGHTS): content}, 12_000_000
        bench.sources = Sources(store=tmp_path / "hub", endpoint=hub.address)
        task = bench.tagging.start(bench.project, TaggingOptions(tagger="big"), download=True)
        while not (task.total == len(content) and "big" in task.to_dict("en")["text"]):
            assert task.state == "running"
        bench.tasks.cancel(task.id)
        assert bench.done(task).state == CANCELLED
    assert not any(bench.texts()) and bench.project.history.undo_words is None


def test_nothing_to_tag(bench: Bench, tmp_path: Path) -> None:
    empty = Projects(tmp_path / "others").create("empty")
    with pytest.raises(BadDataset) as caught:
        bench.tagging.start(empty, TaggingOptions(tagger="deepbooru"))
    assert caught.value.key == "nothing_to_tag"


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "sometimes"},
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"threshold": "0.5"},
        {"character_threshold": None},
        {"ratings": 1},
        {"limit": -1},
        {"order": "random"},
        {"blacklist": ["a"]},
        {"tagger": 3},
    ],
)
def test_options_that_cannot_be(values: dict[str, Any]) -> None:
    with pytest.raises(BadSettings) as caught:
        TaggingOptions.read(values)
    assert caught.value.field == next(iter(values))


def test_the_list_of_taggers(bench: Bench) -> None:
    keep(bench.sources, MODEL)
    bench.host.own.append(Colours("wd14-vit-v2"))
    found = {one.name: one for one in bench.tagging.taggers.options()}
    assert found[MODEL.name].present and not found[WD14[0].name].present
    assert {one.kind for one in found.values()} == {"wd14", "host", "sentence"}
    assert found["blip"].kind == "sentence" and found["wd14-vit-v2"].kind == "host"
    for one in found.values():
        assert one.title("zh") and one.text("en") != one.text("zh")


def test_a_project_of_another_version(bench: Bench) -> None:
    bench.project.change({"tagging": {"mode": "new"}})
    assert isinstance(bench.project, Project) and bench.tagging.options(bench.project) == TaggingOptions()
