"""The routes of projects and of their images, as a page asks them: a whole path, every refusal, nothing leaked."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from lora_trainer.api import PREFIX, add_routes
from lora_trainer.events import Saved
from lora_trainer.host.memory import MemoryHost
from lora_trainer.project.project import Project
from lora_trainer.settings import from_flat
from tests.api.fake import FakeWorker
from tests.dataset.files import cut, picture, save
from tests.project.sets import files_of

OCTETS = {"content-type": "application/octet-stream"}
BATCH = "00ff00ff00ff"


class Page:
    """A browser's page on a new project."""

    def __init__(self, home: Path) -> None:
        self.worker: Any = FakeWorker(home)
        self.worker.host = MemoryHost(home)
        app = FastAPI()
        self.services = add_routes(app, self.worker)
        self.client = TestClient(app, base_url=f"http://testserver{PREFIX}/")
        self.id = ""
        self.id = str(self.ask("POST", "projects", {"name": "测试"}, 201)["id"])

    def ask(self, method: str, path: str, body: Any = None, status: int = 200, **query: Any) -> Any:
        answer = self.client.request(method, path.replace("ID", self.id), json=body, params={"lang": "en", **query})
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str = "projects/ID", status: int = 200, **query: Any) -> Any:
        return self.ask("GET", path, None, status, **query)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self.ask("POST", f"projects/ID/{path}", body or {}, status)

    def task(self, path: str, body: Any, status: int = 202) -> dict[str, Any]:
        number = self.post(path, body, status)["task"]
        self.services.tasks.wait(number, 120)
        told: dict[str, Any] = self.get(f"tasks/{number}")
        return told

    def send(self, name: str, content: bytes, batch: str = BATCH) -> Any:
        where = f"projects/{self.id}/uploads/{batch}"
        return self.client.put(where, params={"name": name}, content=content, headers=OCTETS)

    def fill(self, count: int = 6) -> None:
        for number in range(count):
            self.send(f"{number}.png", png(60 + 10 * number, 80))
            self.send(f"{number}.txt", f"mychr, hat, number {number}".encode())
        assert self.task("import", {"upload": BATCH})["state"] == "done"

    @property
    def project(self) -> Project:
        return self.services.projects.find(self.id)

    def images(self, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.get("projects/ID/images", **query)["items"]
        return items


def png(width: int = 40, height: int = 30) -> bytes:
    buffer = io.BytesIO()
    picture(width, height).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture()
def page(home: Path) -> Page:
    return Page(home)


def test_a_whole_path_and_back(page: Page) -> None:
    assert page.get()["count"] == 0 and page.get()["can_undo"] is False
    page.fill()
    told = page.get()
    assert (told["count"], told["tagged"], told["derived"], told["problem"]) == (6, 6, 0, None)
    assert told["sentence"].startswith("5 images ×") and told["folders"][0]["images"] == 6
    assert told["undo_text"] == "images imported (6)"
    imported = files_of(page.project)
    first = page.images()[0]
    assert page.post("remove", {"images": [first["id"]]})["text"] == "Images set aside: 1."
    assert page.task("crop", {"images": "all", "by": "centre", "width": 64, "height": 64})["result"]["images"] == 5
    assert {(item["width"], item["height"]) for item in page.images()} == {(64, 64)}
    assert page.task("derive", {"kind": "mirror", "images": "all"})["result"]["images"] == 5
    assert page.get()["derived"] == 10 and len(page.images(kind="derived")) == 10
    assert page.post("remove_derived", {"kind": "mirror"})["count"] == 5
    page.post("repeats", {"image": page.images()[0]["id"], "repeats": 9})
    page.post("repeats", {"folder": "", "repeats": 4})
    assert [item["repeats"] for item in page.images()] == [9, 4, 4, 4, 4]
    last = files_of(page.project)
    for text in ("is seen 9 times", "set aside (5)", "mirror images made (5)", "cropped (5)", "set aside (1)"):
        assert text in page.get()["undo_text"]
        assert text in page.post("undo")["text"]
    assert files_of(page.project) == imported
    while page.get()["can_redo"]:
        page.post("redo")
    assert files_of(page.project) == last
    assert page.post("redo", status=422)["key"] == "redo_nothing"


def test_pictures(page: Page) -> None:
    page.fill(1)
    (item,) = page.images()
    where = f"projects/{page.id}/images/{item['id']}"
    for path, sides in ((f"{where}/thumb?size=160", 80), (f"{where}/thumb?size=320&v=1", 80), (f"{where}/full", 80)):
        answer = page.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert max(Image.open(io.BytesIO(answer.content)).size) == sides
        assert ("immutable" in answer.headers["cache-control"]) == ("v=1" in path)
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert page.get(f"{where}/thumb", 422, size=161)["field"] == "size"
    assert page.get(f"projects/ID/images/{'0' * 16}/thumb", 404)["key"] == "image_unknown"
    for path in ("..%2f..%2fproject.json", "%2e%2e", "0.png"):
        assert page.client.get(f"projects/{page.id}/images/{path}/full").status_code == 404
    cut(page.project.images_folder / "0.png")
    assert page.get(f"{where}/full", 422)["key"] == "image_unreadable"


def test_a_folder_in_place_and_by_path(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "mine <b>"
    save(folder / "7_side" / "a.png", caption="mychr")
    told = page.task("import", {"path": f'"{folder}"', "in_place": True})
    assert told["state"] == "done" and "is used where it lies" in told["message"]
    assert page.get()["images"] == str(folder) and page.get()["in_place"] is True
    assert page.get()["folders"] == [{"path": "7_side", "images": 1, "repeats": 7}]
    page.post("undo")
    assert page.get()["count"] == 0
    assert page.task("import", {"path": str(folder)})["result"]["images"] == 1
    assert page.get()["folders"] == [{"path": "7_side", "images": 1, "repeats": 7}]
    for body, key in (
        ({"path": str(tmp_path / "gone")}, "folder_missing"),
        ({"path": ""}, "import_nothing"),
        ({"path": 3}, "setting_type"),
        ({"path": str(folder / "7_side" / "a.png"), "in_place": True}, "folder_is_file"),
        ({"path": "nul\0"}, "folder_missing"),
    ):
        assert page.post("import", body, 422)["key"] == key
    assert page.post("import", {"upload": "ffffffff"}, 404)["key"] == "upload_unknown"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no images" in page.task("import", {"path": str(empty), "in_place": True})["message"]


def test_images_that_are_gone_are_one_sentence(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "drive"
    save(folder / "a.png", caption="mychr")
    page.task("import", {"path": str(folder), "in_place": True})
    shutil.rmtree(folder)
    told = page.get()
    assert told["problem"]["key"] == "folder_missing" and told["count"] == 0
    assert page.get("projects/ID/images", 422)["key"] == "folder_missing"
    for order in ("remove", "crop", "derive", "repeats"):
        body = {"images": ["x"], "kind": "mirror", "folder": "a", "repeats": 2}
        assert page.post(order, body, 422)["key"] == "folder_missing"
    assert page.get("projects")[0]["images"] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "read only"
    save(folder / "a.png", caption="mychr")
    page.task("import", {"path": str(folder), "in_place": True})
    folder.chmod(0o500)
    try:
        assert page.post("remove", {"images": [page.images()[0]["id"]]}, 422)["key"] == "set_unwritable"
        told = page.task("derive", {"kind": "mirror", "images": "all"})
        assert told["state"] == "failed" and "Nothing can be written" in told["message"]
    finally:
        folder.chmod(0o700)


def test_a_full_disk_is_one_sentence(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page.fill(2)
    before, replaced = files_of(page.project), Path.replace

    def full(self: Path, target: Path) -> Path:
        if page.project.images_folder in target.parents:
            raise OSError(28, "No space left on device")
        return replaced(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        assert page.post("remove", {"images": [page.images()[0]["id"]]}, 422)["key"] == "set_disk_full"
        told = page.task("derive", {"kind": "mirror", "images": "all"})
        assert told["state"] == "failed" and told["message"].startswith("The disk is full")
    with monkeypatch.context() as patched:  # not even what is about to be done can be written down
        patched.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert "No space left" in page.post("remove", {"images": [page.images()[0]["id"]]}, 422)["message"]
    assert files_of(page.project) == before


def test_settings_through_the_project(page: Page) -> None:
    told = page.ask(
        "PATCH", "projects/ID", {"settings": {"epochs": 3, "unet_lr": 0.0002}, "name": "n", "goal": "style"}
    )
    assert told["settings"] == {"epochs": 3, "unet_lr": 0.0002} and (told["name"], told["goal"]) == ("n", "style")
    assert page.ask("PATCH", "projects/ID", {"settings": {"epochs": None}})["settings"] == {"unet_lr": 0.0002}
    for body, field in (
        ({"settings": {"epochs": 0}, "name": "not kept"}, "epochs"),
        ({"settings": {"epoch": 1}}, "epoch"),
        ({"settings": {"images": "/etc"}}, "images"),
        ({"settings": 3}, "settings"),
        ({"goal": "cats"}, "goal"),
        ({"in_place": True}, "in_place"),
        ({"name": ""}, "name"),
    ):
        assert page.ask("PATCH", "projects/ID", body, 422)["field"] == field
    assert page.get()["name"] == "n"


def test_one_thing_at_a_time(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page.fill(2)
    go = threading.Event()
    task = page.services.tasks.start(page.project, "import", lambda control: {"waited": go.wait(20)})
    try:
        assert page.get()["task"]["id"] == task.id and page.get()["state"] == "working"
        for order in ("remove", "undo", "crop", "repeats"):
            answer = page.post(order, {"images": [page.images()[0]["id"]], "folder": "", "repeats": 2}, 409)
            assert answer["key"] == "task_running" and "测试" in answer["message"]
        assert page.ask("DELETE", "projects/ID", {}, 409)["key"] == "task_running"
    finally:
        go.set()
        page.services.tasks.wait(task.id)
    assert page.get("tasks", project=page.id)[0]["state"] == "done"
    assert page.get("tasks/nothing", 404)["key"] == "task_unknown"


def test_cancelling_keeps_what_is_done(page: Page) -> None:
    page.fill(2)
    go = threading.Event()

    def work(control: Any) -> dict[str, Any]:
        go.wait(20)
        return {"stopped": control.stop()}

    task = page.services.tasks.start(page.project, "import", work)
    page.ask("POST", f"tasks/{task.id}/cancel", {})
    go.set()
    page.services.tasks.wait(task.id)
    assert page.get(f"tasks/{task.id}")["state"] == "cancelled"


def test_deleting_is_a_move(page: Page) -> None:
    page.fill(1)
    trash = Path(page.ask("DELETE", "projects/ID", {})["trash"])
    assert (trash / "images" / "0.png").is_file()
    assert page.get(status=404)["key"] == "project_unknown" and page.get("projects") == []


@pytest.mark.parametrize(
    ("order", "body"),
    [
        ("remove", {"images": []}),
        ("remove", {"images": "all"}),
        ("crop", {"images": "all", "by": "luck"}),
        ("crop", {"images": "all", "width": 8, "height": 64}),
        ("crop", {"images": "all", "width": 64}),
        ("crop", {"images": []}),
        ("derive", {"kind": "clone", "images": "all"}),
        ("derive", {"kind": "faces", "images": "all", "repeats": 0}),
        ("remove_derived", {"kind": "crop"}),
        ("repeats", {"folder": "", "repeats": "many"}),
        ("reg", {"prompt": " ", "count": 3}),
        ("reg", {"prompt": "1girl", "count": 0}),
        ("reg", {"prompt": "1girl", "count": 3, "seed": -1}),
        ("reg", {"path": ["/"]}),
        ("adopt", {"pictures": []}),
        ("import", {}),
    ],
)
def test_what_is_refused(page: Page, order: str, body: dict[str, Any]) -> None:
    page.fill(1)
    answer = page.post(order, body, 422)
    assert answer["message"] and answer["field"] in (*body, "images", "path", "prompt", "height", "pictures")
    assert page.get()["undo_text"] == "images imported (1)"


def test_regularisation_images_are_drawn_and_gone_on_with(page: Page, tmp_path: Path) -> None:
    page.fill(1)
    page.ask("PATCH", "projects/ID", {"settings": {"resolution": 64}})
    told = page.task("reg", {"prompt": "1girl", "count": 3, "seed": 5}, 200)
    assert told["result"]["images"] == 3 and page.get()["reg"] == 3
    folder = Path(page.get()["settings"]["reg_data_dir"])
    assert sorted(path.name for path in folder.iterdir()) == ["1_1girl"]
    next(folder.rglob("*.png")).unlink()
    assert page.task("reg", {"prompt": "1girl", "count": 3, "seed": 5}, 200)["result"]["images"] == 1
    assert page.post("reg", {"path": ""}) == {} and page.get()["reg"] == 0
    own = tmp_path / "own"
    save(own / "1_cat" / "a.png")
    page.post("reg", {"path": str(own)})
    assert page.get()["reg"] == 1
    assert page.post("reg", {"path": str(tmp_path / "gone")}, 422)["key"] == "folder_missing"


def test_drafts_are_drawn_chosen_and_added(page: Page, home: Path) -> None:
    page.fill(1)
    run = page.worker.start(from_flat({"images": "/x", "trigger": "t", "name": "draft", "epochs": 1}))
    page.worker.wait()
    lora = home / "draft-000001.safetensors"
    lora.write_bytes(b"weights")
    run.append(Saved(epoch=1, path=str(lora)))
    page.ask("PATCH", "projects/ID", {"settings": {"resolution": 64}})
    wanted = {"run": run.id, "epoch": 1, "weight": 0.8, "prompt": "mychr, park", "count": 3}
    pictures = page.task("drafts", wanted)["result"]["pictures"]
    assert len(pictures) == 3 and {one["id"] for one in page.get("projects/ID/drafts")} == set(pictures)
    answer = page.client.get(f"projects/{page.id}/drafts/{pictures[0]}?size=160")
    assert answer.status_code == 200 and Image.open(io.BytesIO(answer.content)).size == (64, 64)
    assert page.task("adopt", {"pictures": pictures[:2]})["result"]["images"] == 2
    assert "mychr, park" in [item["caption"] for item in page.images()]
    assert page.get()["undo_text"] == "drafts added (2)"
    for body, key in (({**wanted, "epoch": 9}, "epoch_unknown"), ({**wanted, "run": "no"}, "run_unknown")):
        assert page.post("drafts", body, 404)["key"] == key
    assert page.post("drafts", {**wanted, "weight": 9}, 422)["field"] == "weight"
    assert page.post("adopt", {"pictures": ["0" * 16]}, 404)["key"] == "image_unknown"


def test_drawing_waits_for_the_training(page: Page) -> None:
    page.worker.hold_at = 3
    page.worker.start(from_flat({"images": "/x", "trigger": "t", "name": "running", "epochs": 1}))
    number = page.post("reg", {"prompt": "1girl", "count": 1})["task"]
    for _ in range(200):
        if page.get(f"tasks/{number}")["text"] == "Waiting until the training is done":
            break
    assert page.get(f"tasks/{number}")["text"] == "Waiting until the training is done"
    assert not list((page.project.folder).rglob("*.png"))
    page.ask("POST", f"tasks/{number}/cancel", {})
    page.services.tasks.wait(number, 20)
    assert page.get(f"tasks/{number}")["state"] == "cancelled"
    page.worker.commands.stop_now()
    page.worker.wait()


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "projects"), ("POST", "projects/ID/remove"), ("POST", "projects/ID/undo"), ("DELETE", "projects/ID")],
)
def test_other_sites_may_not_order(page: Page, method: str, path: str) -> None:
    headers = {"content-type": "application/json", "origin": "https://evil.example"}
    where = path.replace("ID", page.id)
    assert page.client.request(method, where, content=b"{}", headers=headers).status_code == 403
    assert page.client.request(method, where, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415


def test_other_sites_may_not_send(page: Page) -> None:
    where = f"projects/{page.id}/uploads/{BATCH}?name=a.png"
    for headers in ({**OCTETS, "origin": "https://evil.example"}, {**OCTETS, "sec-fetch-site": "cross-site"}):
        assert page.client.put(where, content=b"x", headers=headers).status_code == 403
    assert page.client.put(where, content=b"x", headers={"content-type": "image/png"}).status_code == 415
    assert not (page.project.folder / "uploads").exists()


def test_what_is_refused_is_read_to_its_end(page: Page) -> None:
    """A browser that is still sending would take an early answer for a broken connection."""
    sent = list[int]()

    def parts() -> Iterator[bytes]:
        for number in range(4):
            sent.append(number)
            yield bytes(1 << 20)

    limits = page.project.uploads
    limits.limits = replace(limits.limits, image=1 << 20)
    for name, key in (("virus.exe", "upload_kind"), ("large.png", "upload_large")):
        sent.clear()
        answer = page.send(name, parts())  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["key"]) == (422, key) and len(sent) == 4


def test_images_are_shown_also_where_their_captions_cannot_be_read(page: Page) -> None:
    page.fill(2)
    for text in page.project.images_folder.glob("*.txt"):
        text.rename(text.with_suffix(".caption"))
    told = page.get()
    assert (told["problem"]["key"], told["count"], told["tagged"]) == ("captions_elsewhere", 2, 0) and told["sentence"]
    assert [item["tags"] for item in page.images()] == [[], []]
    page.ask("PATCH", "projects/ID", {"settings": {"caption_extension": ".caption"}})
    assert page.get()["problem"] is None and page.images()[0]["tags"][0] == "mychr"


def test_everything_is_said_in_chinese_too(page: Page) -> None:
    page.fill(2)
    told = page.get(lang="zh")
    assert told["undo_text"] == "导入图片（2 张）" and "张图片" in told["sentence"]
    assert "。" in page.client.get("projects/nothing", params={"lang": "zh"}).json()["message"]
