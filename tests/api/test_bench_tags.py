"""The routes of tags, of tagging and of the doctor, as a page and as a stranger ask them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lora_trainer.api import PREFIX, Hooks, add_routes
from lora_trainer.project.project import Project
from tests.api.fake import FakeWorker
from tests.dataset.checks.sets import SIDE, sound
from tests.dataset.files import cut
from tests.project.models import Captioner, Colours, PaperHost, keep, sources
from tests.project.test_tagging import MODEL

CAPTIONS = ("myword, hat, <b>1girl</b>", "myword, hat, smile", "myword, tree")


class Page:
    """A browser's page on a project with twelve images."""

    def __init__(self, home: Path) -> None:
        worker: Any = FakeWorker(home)
        worker.host = PaperHost(home, Colours(), Captioner("blip"))
        self.sources = sources(home)
        app = FastAPI()
        self.services = add_routes(app, worker, Hooks(sources=lambda: self.sources))
        self.client = TestClient(app)
        self.project: Project = self.services.projects.create("测试")
        self.project.change_settings({"trigger": "myword", "resolution": SIDE})
        self.images = sound(self.project.images_folder, 12)
        for image, text in zip(self.images, CAPTIONS, strict=False):
            image.with_suffix(".txt").write_text(text, encoding="utf-8")

    def ask(self, method: str, path: str, body: Any = None, status: int = 200, **query: Any) -> Any:
        where = f"{PREFIX}/{path.replace('ID', self.project.id)}"
        answer = self.client.request(method, where, json=body, params={"lang": "en", **query})
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str, **query: Any) -> Any:
        return self.ask("GET", path, **query)

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        return self.ask("POST", path, body, status)

    def task(self, path: str, body: Any) -> dict[str, Any]:
        """Order a task, and what it says when it is over."""
        number = self.post(path, body, 202)["task"]
        self.services.tasks.wait(number, 120)
        return self.services.tasks.find(number).to_dict("en")

    def id_of(self, number: int) -> str:
        entry = self.project.images().of(self.images[number])
        assert entry is not None
        return entry.id

    def text(self, number: int) -> str:
        return self.images[number].with_suffix(".txt").read_text(encoding="utf-8").strip()


@pytest.fixture()
def page(home: Path) -> Iterator[Page]:
    made = Page(home)
    yield made
    made.services.tasks.cancel_all()


def test_tags_and_bindings(page: Page) -> None:
    found = page.get("projects/ID/tags", search="H")
    assert (found["untagged"], found["total"]) == (0, 2)
    assert {"tag": "hat", "count": 2} in found["tags"]
    assert [row["count"] for row in page.get("projects/ID/tags", filter="smile")["tags"]] == [1, 1, 1]
    found = page.get("projects/ID/bindings")
    assert "bound to the trigger" in found["text"] and [one["tag"] for one in found["bindings"]] == []
    for image in page.images:
        image.with_suffix(".txt").write_text("myword, blue hair", encoding="utf-8")
    (row,) = page.get("projects/ID/bindings")["bindings"]
    assert (row["tag"], row["count"], row["share"]) == ("blue hair", 12, 1.0) and "myword" in row["text"]


def test_preview_then_apply_then_undo(page: Page) -> None:
    body = {"operation": {"kind": "remove", "words": ["hat"]}, "selection": {"scope": "filtered", "filter": "hat"}}
    found = page.post("projects/ID/captions/preview", body)
    assert found["text"] == "Removing changes 2 of 2 images" and (found["changes"], found["of"]) == (2, 2)
    sample = {"image": page.id_of(0), "before": CAPTIONS[0], "after": "myword, <b>1girl</b>"}
    assert found["samples"][0] == sample and page.text(0) == CAPTIONS[0]
    done = page.post("projects/ID/captions/apply", body)
    assert (done["changes"], done["of"], done["notes"]) == (2, 2, []) and "hat" in done["text"]
    assert page.text(1) == "myword, smile"
    page.project.history.undo()
    assert page.text(1) == CAPTIONS[1]
    nobody = {"operation": {"kind": "sort"}, "selection": {"scope": "filtered", "filter": "nothing"}}
    assert page.post("projects/ID/captions/preview", nobody)["text"] == "No image is chosen, so nothing changes"


def test_one_caption_is_written(page: Page) -> None:
    item = page.ask("PUT", f"projects/ID/images/{page.id_of(2)}/caption", {"text": "myword, 树，\n<script>"})
    assert (item["id"], item["tags"]) == (page.id_of(2), ["myword", "树", "<script>"])
    assert item["caption"] == page.text(2) == "myword, 树, <script>"
    assert item["tokens"] > 0 and item["findings"] == []
    answer = page.ask("PUT", f"projects/ID/images/{page.id_of(2)}/caption", {"text": "a" * 2_000_000}, 422)
    assert answer["key"] == "caption_long" and answer["field"] == "text"
    assert page.ask("PUT", f"projects/ID/images/{'0' * 16}/caption", {"text": "a"}, 404)["message"]
    assert page.ask("PUT", "projects/nobody/images/x/caption", {"text": "a"}, 404)["message"]


def test_the_same_count_as_the_doctors(page: Page) -> None:
    page.project.change_settings({"max_token_length": 75})
    words = ", ".join(f"word{n}" for n in range(30))
    item = page.ask("PUT", f"projects/ID/images/{page.id_of(0)}/caption", {"text": words})
    assert page.task("projects/ID/check", {})["state"] == "done"
    (finding,) = [one for one in page.get("projects/ID/findings")["findings"] if one["key"] == "caption_long"]
    assert str(item["tokens"]) in finding["what"]


def test_taggers_and_options(page: Page) -> None:
    keep(page.sources, MODEL)
    found = {one["name"]: one for one in page.get("taggers")}
    assert found[MODEL.name]["present"] and found[MODEL.name]["threshold"] == MODEL.threshold
    assert found["blip"] | {"text": ""} == {
        "name": "blip",
        "title": "BLIP (sentences)",
        "kind": "sentence",
        "present": True,
        "size": 0,
        "threshold": 0.35,
        "text": "",
    }
    assert page.get("projects/ID/tagging")["tagger"] == "wd-swinv2-tagger-v3"
    page.task("projects/ID/tag", {"tagger": "deepbooru", "mode": "append"})
    options = page.get("projects/ID/tagging")
    assert (options["tagger"], options["mode"]) == ("deepbooru", "append")
    assert page.task("projects/ID/tag", {**options, "mode": "overwrite"})["state"] == "done"


def test_tagging_is_one_step(page: Page) -> None:
    body = {"tagger": "deepbooru", "mode": "append", "selection": {"scope": "selected", "images": [page.id_of(2)]}}
    done = page.task("projects/ID/tag", body)
    assert done["state"] == "done" and done["result"]["changed"] == 1
    assert page.text(2) == "myword, tree, width 320, a (hat)" and page.text(0) == CAPTIONS[0]
    page.project.history.undo()
    assert page.text(2) == CAPTIONS[2]


def test_tagging_that_cannot_be(page: Page) -> None:
    refused = page.post("projects/ID/tag", {"tagger": MODEL.name}, 422)
    assert refused["key"] == "tagger_needs_download" and "379 MB" in refused["message"]
    assert page.post("projects/ID/tag", {"tagger": "nobody"}, 422)["key"] == "tagger_unknown"
    assert page.post("projects/ID/tag", {"threshold": 7}, 422)["field"] == "threshold"
    assert page.post("projects/ID/tag", {"download": "yes"}, 422)["field"] == "download"
    assert page.post("projects/nobody/tag", {}, 404)["message"]


def test_nothing_is_edited_while_images_are_tagged(page: Page) -> None:
    tagger: Any = page.services.worker.host.taggers()[0]
    tagger.go.clear()
    number = page.post("projects/ID/tag", {"tagger": "deepbooru", "mode": "overwrite"}, 202)["task"]
    assert tagger.began.wait(30)
    body = {"operation": {"kind": "sort"}}
    assert page.post("projects/ID/captions/apply", body, 409)["message"]
    assert page.post("projects/ID/captions/preview", body)["of"] == 12
    assert page.post("projects/ID/check", {}, 409)["message"]
    tagger.go.set()
    page.services.tasks.wait(number, 30)
    page.post("projects/ID/captions/apply", body)


def test_check_and_mend(page: Page) -> None:
    assert page.get("projects/ID/findings") == {"checked": False, "stale": False, "findings": []}
    cut(page.images[5])
    page.images[6].with_suffix(".txt").write_text("a thing", encoding="utf-8")
    done = page.task("projects/ID/check", {})
    assert done["result"]["findings"] == 2 and "12 images" in done["message"]
    found = page.get("projects/ID/findings")
    assert found["checked"] and not found["stale"]
    first, second = found["findings"]
    assert (first["key"], first["severity"], first["remedy"]) == ("unreadable", "error", True)
    assert (first["images"], second["images"]) == ([page.id_of(5)], [page.id_of(6)])
    assert first["what"] and first["why"] and first["help"]
    body = {"images": [page.id_of(6)]}
    assert page.post("projects/ID/findings/trigger_missing/fix", body)["text"] == "Put the trigger first in 1 caption"
    assert page.text(6) == "myword, a thing"
    assert [one["key"] for one in page.get("projects/ID/findings")["findings"]] == ["unreadable"]
    assert page.post("projects/ID/findings/trigger_missing/fix", {}, 422)["key"] == "finding_gone"
    assert page.post("projects/ID/findings/unreadable/fix", {"images": ["x"]}, 404)["message"]
    page.images[7].with_suffix(".txt").write_text("myword, changed", encoding="utf-8")
    assert page.get("projects/ID/findings")["stale"]


def test_orders_of_other_sites_are_refused(page: Page) -> None:
    paths = ("captions/apply", "captions/preview", "tag", "check", "findings/unreadable/fix")
    for path in paths:
        where = f"{PREFIX}/projects/{page.project.id}/{path}"
        assert page.client.post(where, data="{}").status_code == 415
        assert page.client.post(where, json={}, headers={"Origin": "http://elsewhere"}).status_code == 403
    where = f"{PREFIX}/projects/{page.project.id}/images/{page.id_of(0)}/caption"
    assert page.client.put(where, json={"text": ""}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert page.text(0) == CAPTIONS[0]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_errors_speak_the_asked_language(page: Page, lang: str) -> None:
    answer = page.ask("GET", "projects/ID/tags", status=422, filter="a and", lang=lang)
    assert answer["field"] == "filter" and ("。" in answer["message"]) == (lang == "zh")


def test_many_captions_over_http(page: Page) -> None:
    for number in range(1000):
        (page.project.images_folder / f"many{number}.png").write_bytes(b"")
        (page.project.images_folder / f"many{number}.txt").write_text(f"hat, sky {number}", encoding="utf-8")
    page.get("projects/ID/tags")
    seconds = []
    for old, new in (("sky", "reef"), ("reef", "sky"), ("sky", "sea")):
        started = time.process_time()
        body = {"operation": {"kind": "replace", "old": old, "new": new, "inside": True}}
        assert page.post("projects/ID/captions/apply", body)["changes"] == 1000
        seconds.append(time.process_time() - started)
    assert min(seconds) < 1
