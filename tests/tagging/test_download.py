"""Finding a model's files and fetching them, by the hub's own library from a hub on this computer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest

from lora_trainer.tagging.download import Sources, fetch, find
from lora_trainer.tagging.events import Fetching
from lora_trainer.tagging.git import GIT
from lora_trainer.tagging.models import TAG_LIST, WD14, WEIGHTS, Model, RemoteFile, wd14
from lora_trainer.tagging.tagger import BadTagger
from tests.dataset.files import says
from tests.tagging.hub import COMMIT, Hub, running

CONTENT = np.random.default_rng(0).integers(0, 256, 24_000_000, dtype=np.uint8).tobytes()
HELD = 15_000_000
LIST = b"tag_id,name,category,count\n1,hat,0,9\n"
MODEL = Model(
    "tiny-tagger",
    "a" * 40,
    (
        RemoteFile(TAG_LIST, len(LIST), hashlib.sha256(LIST).hexdigest()),
        RemoteFile(WEIGHTS, len(CONTENT), hashlib.sha256(CONTENT).hexdigest()),
    ),
    owner="Someone",
)


@pytest.fixture(autouse=True)
def nothing_of_this_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as server:
        server.files = {(MODEL.repo, TAG_LIST): LIST, (MODEL.repo, WEIGHTS): CONTENT}
        yield server


def sources(tmp_path: Path, hub: Hub | None = None, **more) -> Sources:
    return Sources(store=tmp_path / "store", endpoint=hub.address if hub else "", **more)


def fetched(model: Model, where: Sources) -> tuple[list[Fetching], Path]:
    events, steps = [], fetch(model, where)
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return events, end.value


def lay_out(folder: Path, tags: bytes = LIST, weights: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True)
    (folder / TAG_LIST).write_bytes(tags)
    (folder / WEIGHTS).write_bytes(weights)
    return folder


def snapshot(cache: Path, revision: str) -> Path:
    return cache / "models--Someone--tiny-tagger" / "snapshots" / revision


def test_it_downloads_with_progress_and_finds_it_again(tmp_path: Path, hub: Hub) -> None:
    where = sources(tmp_path, hub)
    assert find(MODEL, where) is None
    hub.hold_at = HELD
    counts, steps = [], fetch(MODEL, where)
    while not counts or counts[-1] <= len(LIST):  # the library writes in large pieces
        counts.append(next(steps).done)
    hub.go.set()
    while True:
        try:
            counts.append(next(steps).done)
        except StopIteration as end:
            folder = end.value
            break
    assert counts == sorted(counts)
    assert counts[-1] == MODEL.size
    assert (folder / WEIGHTS).read_bytes() == CONTENT
    assert (folder / TAG_LIST).read_bytes() == LIST
    hub.asked.clear()
    assert fetched(MODEL, where) == ([], folder)
    assert find(MODEL, where) == folder
    assert hub.asked == []


def test_a_download_that_was_stopped_goes_on_where_it_was(tmp_path: Path, hub: Hub) -> None:
    where = sources(tmp_path, hub)
    hub.hold_at = HELD
    steps = fetch(MODEL, where)
    while next(steps).done <= len(LIST):
        pass
    steps.close()
    assert find(MODEL, where) is None
    hub.go.set()
    hub.asked.clear()
    _, folder = fetched(MODEL, where)
    assert (folder / WEIGHTS).read_bytes() == CONTENT
    ranges = [asked for method, name, asked in hub.asked if (method, name) == ("GET", WEIGHTS)]
    assert len(ranges) == 1
    assert not list((tmp_path / "store").rglob("*.incomplete"))
    if int(huggingface_hub.__version__.partition(".")[0]) >= 1:  # begins anew in every process
        return
    assert ranges[0].startswith("bytes=")
    assert 1_000_000 < int(ranges[0].removeprefix("bytes=").split("-")[0]) <= HELD


def test_what_comes_damaged_is_removed_and_said(tmp_path: Path, hub: Hub) -> None:
    hub.lie = True
    where = sources(tmp_path, hub)
    with pytest.raises(BadTagger) as caught:
        fetched(MODEL, where)
    assert caught.value.key == "tagger_damaged"
    assert find(MODEL, where) is None
    hub.lie = False
    assert (fetched(MODEL, where)[1] / WEIGHTS).read_bytes() == CONTENT


def test_without_a_known_hash_the_hubs_own_is_taken(tmp_path: Path, hub: Hub) -> None:
    plain = replace(MODEL, files=tuple(replace(file, sha256="") for file in MODEL.files))
    hub.lie = True
    with pytest.raises(BadTagger) as caught:
        fetched(plain, sources(tmp_path, hub))
    assert caught.value.key == "tagger_damaged"


def test_a_branch_is_followed(tmp_path: Path, hub: Hub) -> None:
    moving = replace(MODEL, revision="main")
    assert fetched(moving, sources(tmp_path, hub))[1] == snapshot(tmp_path / "store", COMMIT)
    assert find(moving, sources(tmp_path)) == snapshot(tmp_path / "store", COMMIT)


def test_a_hub_without_the_file_is_said(tmp_path: Path, hub: Hub) -> None:
    del hub.files[MODEL.repo, WEIGHTS]
    with pytest.raises(BadTagger) as caught:
        fetched(MODEL, sources(tmp_path, hub))
    assert caught.value.key == "tagger_download"
    assert says(caught.value, hub.address, MODEL.repo)


@pytest.mark.slow
def test_a_hub_without_an_answer_is_said(tmp_path: Path) -> None:
    nobody = Sources(store=tmp_path / "other", endpoint="http://127.0.0.1:9")
    with pytest.raises(BadTagger) as caught:
        fetched(MODEL, nobody)
    assert says(caught.value, "http://127.0.0.1:9")


@pytest.mark.parametrize("name", ["tiny-tagger", "Someone_tiny-tagger", "Someone/tiny-tagger", ""])
def test_the_offline_folder_goes_first(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path / "offline" / name)
    lay_out(snapshot(tmp_path / "store", MODEL.revision))
    where = sources(tmp_path, folder=tmp_path / "offline", online=False)
    assert fetched(MODEL, where) == ([], tmp_path / "offline" / name)


def test_a_file_of_the_wrong_size_in_the_offline_folder_does_not_count(tmp_path: Path) -> None:
    lay_out(tmp_path / "offline" / "tiny-tagger", weights=CONTENT[:-1])
    assert find(MODEL, sources(tmp_path, folder=tmp_path / "offline")) is None


def test_models_of_the_extension_are_used_whatever_their_revision(tmp_path: Path) -> None:
    cache = tmp_path / "models" / "interrogators"
    older = lay_out(snapshot(cache, "b" * 40), weights=CONTENT[:100])
    where = sources(tmp_path, caches=(cache,), online=False)
    assert find(MODEL, where) == older
    exact = lay_out(snapshot(cache, MODEL.revision))
    assert find(MODEL, where) == exact


def test_half_of_a_model_does_not_count(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (lay_out(snapshot(cache, "b" * 40)) / WEIGHTS).unlink()
    (lay_out(snapshot(cache, "c" * 40)) / TAG_LIST).write_bytes(b"")
    assert find(MODEL, sources(tmp_path, caches=(cache,))) is None


def test_offline_without_the_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadTagger) as caught:
        fetched(MODEL, sources(tmp_path, folder=tmp_path / "offline", online=False))
    assert says(caught.value, "tiny-tagger", str(tmp_path / "offline"), str(tmp_path / "store"))


def test_a_full_disk_is_said_before(tmp_path: Path, hub: Hub) -> None:
    huge = replace(MODEL, files=(*MODEL.files, RemoteFile("more", 10**15)))
    with pytest.raises(BadTagger) as caught:
        fetched(huge, sources(tmp_path, hub))
    assert caught.value.key == "tagger_no_space"
    assert hub.asked == []


def test_the_table() -> None:
    assert len({model.name for model in WD14}) == len(WD14) == 12
    generations = {"v3": 5, "v2": 5}
    for ending, count in generations.items():
        assert len([model for model in WD14 if model.name.endswith(ending)]) == count
    for model in (*WD14, GIT):
        assert 0 < model.threshold < 1
        assert model.size > 300e6
        assert all(len(file.sha256) in (0, 64) for file in model.files)
    assert wd14("SmilingWolf/wd-vit-tagger-v3").threshold == 0.2614
    with pytest.raises(BadTagger) as caught:
        wd14("wd-v9")
    assert says(caught.value, "wd-v9", "wd-eva02-large-tagger-v3")
