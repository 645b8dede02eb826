"""The bench's routes with answers that a test makes up: any number of images, any finding, work at a chosen pace."""

from __future__ import annotations

import io
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from lora_trainer.api.page import KINDS, page_files
from lora_trainer.api.wording import page_texts
from lora_trainer.captions.filters import matcher
from lora_trainer.errors import UserError
from lora_trainer.ui.standalone import HTML
from tests.api.fake import picture

BASE = "/lora_trainer/v1"
USUAL = ("1girl", "long hair", "blue eyes", "solo", "smile", "hat", "white dress", "outdoors", "sky", "holding book")
TAGGERS = [
    {"name": "wd-swinv2-tagger-v3", "title": "WD14 SwinV2 v3", "kind": "wd14", "present": False, "size": 467_500_000,
     "text": "A good choice on any computer."},
    {"name": "deepbooru", "title": "deepbooru (of the WebUI)", "kind": "host", "present": True, "size": 0, "text": ""},
]  # fmt: skip


@dataclass
class Bench:
    """What the server holds; tests change it while the page is open."""

    images: list[dict[str, Any]] = field(default_factory=list)
    project: dict[str, Any] | None = None
    findings: list[dict[str, Any]] = field(default_factory=list)
    checked: bool = False
    task_s: float = 0.3  # how long a task takes
    tasks: dict[str, tuple[float, str, Any]] = field(default_factory=dict)
    undone: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    orders: list[tuple[str, str, Any]] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    problem: dict[str, Any] | None = None

    def fill(self, count: int, tagged: bool = True) -> None:
        """Make a project with this many images."""
        self.project = self.project or dict(
            id="p1", name="miku", goal="character", images="", in_place=False, preset="auto", settings={}, runs=[]
        )
        self.images = [image(number, tagged) for number in range(count)]

    def begin(self, kind: str, finish: Any = None) -> JSONResponse:
        task = f"t{len(self.tasks)}"
        self.tasks[task] = (time.monotonic(), kind, finish)
        return JSONResponse({"task": task}, 202)

    def shown(self) -> dict[str, Any]:
        folders = Counter(one["folder"] for one in self.images)
        return {
            **(self.project or {}),
            "task": None,
            "count": len(self.images),
            "tagged": sum(bool(one["tags"]) for one in self.images),
            **{"can_undo": bool(self.history), "undo_text": (self.history or [""])[-1]},
            **{"can_redo": bool(self.undone), "redo_text": (self.undone or [""])[-1]},
            **{"derived": 0, "reg": 0, "problem": self.problem},
            "folders": [{"path": name, "images": count, "repeats": 8} for name, count in folders.items()],
            "sentence": f"{len(self.images)} images × 8 repeats × 10 epochs ÷ 2 = {len(self.images) * 40} steps",
        }

    def caption(self, one: dict[str, Any], text: str) -> None:
        found = [tag.strip() for tag in text.split(",") if tag.strip()]
        one.update(caption=text, tags=found, tokens=sum(2 + tag.count(" ") for tag in found))


def image(number: int, tagged: bool) -> dict[str, Any]:
    tags = [tag for place, tag in enumerate(USUAL) if (number * 7 + place) % (place + 1) == 0] if tagged else []
    name = f"{number:04d} ミク <b>{number}</b>.png" if number % 7 == 3 else f"miku_{number:04d}.png"
    return dict(
        id=f"{number:016x}", name=name, folder="", width=768 + 64 * (number % 4), height=1024, repeats=1,
        caption=", ".join(tags), tags=tags, tokens=2 * len(tags), parent=None, derivation="", findings=[],
    )  # fmt: skip


def app(bench: Bench) -> FastAPI:
    """The page and the routes that the steps Images and Tags ask."""
    made = FastAPI()
    for add in (_add_page, _add_projects, _add_images, _add_captions, _add_tasks):
        add(made, bench)
    return made


def _add_page(made: FastAPI, bench: Bench) -> None:
    @made.get("/")
    def index() -> HTMLResponse:
        return HTMLResponse(HTML.read_text(encoding="utf-8").replace("{version}", "test"))

    @made.get(BASE + "/page/{version}/{name:path}")
    def file(version: str, name: str) -> Response:
        path = page_files().get(name)
        if path is None:
            return Response(status_code=404)
        return Response(path.read_bytes(), media_type=KINDS[path.suffix], headers={"Cache-Control": "no-store"})

    @made.get(BASE + "/about")
    def about() -> dict[str, Any]:
        checkpoint = {"title": "animagine-xl-3.1.safetensors", "family": "SDXL"}
        return {
            "page": "test",
            "host": "standalone",
            "language": "",
            "checkpoint": checkpoint,
            "loras": [],
            **bench.about,
        }

    @made.get(BASE + "/texts")
    def texts(lang: str = "en") -> dict[str, str]:
        return page_texts(lang)

    @made.get(BASE + "/projects/{project}/plan")
    def plan(project: str) -> dict[str, Any]:
        texts = {"time": "about 34 min", "memory": "10.4 of 12 GB", "disk": "1.6 GB on the disk"}
        preset = {"id": "auto", "title": "SDXL · character · 12 GB"}
        return {"preset": preset, "sentence": bench.shown()["sentence"], "texts": texts, "problems": []}

    @made.post(BASE + "/projects/{project}/start")
    async def start(project: str, request: Request) -> dict[str, str]:
        bench.orders.append(("POST", "start", await request.json()))
        return {"run": "r1"}


def _add_projects(made: FastAPI, bench: Bench) -> None:
    @made.get(BASE + "/projects")
    def projects() -> list[dict[str, Any]]:
        own = bench.project
        return [{"id": own["id"], "name": own["name"], "goal": own["goal"], "images": len(bench.images)}] if own else []

    @made.post(BASE + "/projects")
    async def create(request: Request) -> dict[str, Any]:
        values = await request.json()
        bench.fill(0)
        bench.project.update(name=values.get("name") or "project 1")
        return bench.project

    @made.get(BASE + "/projects/{project}")
    def one(project: str) -> dict[str, Any]:
        if not bench.project or project != bench.project["id"]:
            raise HTTPException(404)
        return bench.shown()

    @made.patch(BASE + "/projects/{project}")
    async def change(project: str, request: Request) -> Any:
        values = await request.json()
        bench.orders.append(("PATCH", "", values))
        if "," in str(values.get("settings", {}).get("trigger", "")):
            message = "The trigger is one word without a comma."
            return JSONResponse({"key": "trigger", "field": "trigger", "message": message}, 422)
        bench.project.update({**values, "settings": {**bench.project["settings"], **values.get("settings", {})}})
        return bench.project

    for way in ("undo", "redo"):
        made.post(BASE + "/projects/{project}/" + way)(_turning(bench, way))


def _turning(bench: Bench, way: str) -> Any:
    def turn(project: str) -> dict[str, str]:
        source, target = (bench.history, bench.undone) if way == "undo" else (bench.undone, bench.history)
        target.append(source.pop())
        return {"text": f"{way}: {target[-1]}"}

    return turn


def _add_images(made: FastAPI, bench: Bench) -> None:
    @made.get(BASE + "/projects/{project}/images")
    def images(offset: int = 0, limit: int = 60, filter: str = "", kind: str = "all", lang: str = "en") -> Any:
        try:
            fits = matcher(filter)
        except UserError as error:
            return JSONResponse({"key": error.key, "field": "filter", "message": error.text(lang)}, 422)
        wanted = {id_ for one in bench.findings if kind == f"finding:{one['key']}" for id_ in one["images"]}
        found = [one for one in bench.images if fits(one["tags"]) and (one["id"] in wanted or not kind.startswith("f"))]
        found = [one for one in found if kind != "untagged" or not one["tags"]]
        return {"total": len(bench.images), "shown": len(found), "items": found[offset : offset + limit]}

    @made.get(BASE + "/projects/{project}/images/{image}/{size}")
    def thumb(image: str, size: str) -> Response:
        picture(160, 160, int(image, 16) * 0.137).save(packed := io.BytesIO(), "PNG")
        return Response(packed.getvalue(), media_type="image/png", headers={"Cache-Control": "max-age=3600"})

    @made.put(BASE + "/projects/{project}/uploads/{batch}")
    async def upload(batch: str, name: str, request: Request) -> dict[str, Any]:
        async for _ in request.stream():
            pass
        bench.uploads.append(name)
        return {}

    @made.post(BASE + "/projects/{project}/import")
    async def bring_in(request: Request) -> JSONResponse:
        bench.orders.append(("POST", "import", await request.json()))
        return bench.begin("import", lambda: bench.fill(max(len(bench.uploads), 4), tagged=False))

    @made.post(BASE + "/projects/{project}/repeats")
    async def repeats(request: Request) -> dict[str, Any]:
        bench.orders.append(("POST", "repeats", body := await request.json()))
        for one in bench.images:
            if one["id"] == body.get("image"):
                one["repeats"] = body["repeats"] or 8
        return {}

    @made.post(BASE + "/projects/{project}/remove")
    async def remove(request: Request) -> dict[str, str]:
        gone = set((await request.json())["images"])
        bench.images = [one for one in bench.images if one["id"] not in gone]
        bench.history.append(f"take {len(gone)} images out")
        return {"text": f"{len(gone)} images were taken out of the set."}


def _add_captions(made: FastAPI, bench: Bench) -> None:
    @made.get(BASE + "/projects/{project}/tags")
    def tags(search: str = "") -> dict[str, Any]:
        counts = Counter(tag for one in bench.images for tag in one["tags"])
        rows = [{"tag": tag, "count": count} for tag, count in counts.most_common() if search in tag]
        return {"untagged": sum(not one["tags"] for one in bench.images), "tags": rows}

    @made.get(BASE + "/projects/{project}/bindings")
    def bindings() -> dict[str, Any]:
        counts, total = Counter(tag for one in bench.images for tag in one["tags"]), max(1, len(bench.images))
        most = [(tag, count) for tag, count in counts.most_common() if count / total > 0.5]
        rows = [dict(tag=tag, count=n, share=n / total, text=f"in {n} of {total} captions") for tag, n in most]
        return {"text": "What no caption names becomes part of the trigger.", "bindings": rows}

    @made.post(BASE + "/projects/{project}/captions/{what}")
    async def edit(what: str, request: Request) -> dict[str, Any]:
        body = await request.json()
        operation, selection = body["operation"], body["selection"]
        gone, samples = set(operation.get("words", ())) if operation["kind"] == "remove" else set(), []
        wanted, fits = set(selection["images"]), matcher(selection["filter"])
        for one in bench.images:
            chosen = {"all": True, "filtered": fits(one["tags"]), "selected": one["id"] in wanted}[selection["scope"]]
            after = ", ".join(tag for tag in one["tags"] if tag not in gone)
            if operation["kind"] == "add":
                after = ", ".join([*one["tags"], operation["words"]])
            if chosen and after != ", ".join(one["tags"]):
                samples.append({"image": one["id"], "before": one["caption"], "after": after})
                if what == "apply":
                    bench.caption(one, after)
        if what == "apply":
            bench.history.append(f"{operation['kind']} tags")
        text = f"{operation['kind'].title()} changes {len(samples)} of {len(bench.images)} images."
        return {"changes": len(samples), "of": len(bench.images), "text": text, "samples": samples[:5]}

    @made.put(BASE + "/projects/{project}/images/{image}/caption")
    async def write(image: str, request: Request) -> dict[str, Any]:
        one = next(one for one in bench.images if one["id"] == image)
        bench.caption(one, (await request.json())["text"])
        bench.history.append("edit a caption")
        return one


def _add_tasks(made: FastAPI, bench: Bench) -> None:
    @made.get(BASE + "/tasks/{task}")
    def task(task: str) -> dict[str, Any]:
        began, kind, finish = bench.tasks[task]
        part = min(1.0, (time.monotonic() - began) / max(bench.task_s, 0.001))
        if part >= 1 and finish:
            finish()
            bench.tasks[task] = (began, kind, None)
        told = dict(id=task, kind=kind, project="p1", done=round(24 * part), total=24, notes=[], result={})
        return {
            **told,
            "state": "done" if part >= 1 else "running",
            "text": f"{kind}: {round(24 * part)} of 24 images",
            "message": f"{kind} finished",
        }

    @made.post(BASE + "/tasks/{task}/cancel")
    def cancel(task: str) -> dict[str, str]:
        return {}

    @made.post(BASE + "/projects/{project}/check")
    def check() -> JSONResponse:
        return bench.begin("check", lambda: setattr(bench, "checked", True))

    @made.get(BASE + "/projects/{project}/findings")
    def findings() -> dict[str, Any]:
        return {"checked": bench.checked, "stale": False, "findings": bench.findings if bench.checked else []}

    @made.post(BASE + "/projects/{project}/findings/{key}/fix")
    def fix(key: str) -> dict[str, str]:
        bench.findings = [one for one in bench.findings if one["key"] != key]
        bench.history.append(f"mend {key}")
        return {"text": "Mended."}

    @made.get(BASE + "/taggers")
    def taggers() -> list[dict[str, Any]]:
        return TAGGERS

    @made.get(BASE + "/projects/{project}/tagging")
    def tagging() -> dict[str, Any]:
        return {"tagger": "wd-swinv2-tagger-v3", "mode": "missing", "threshold": None, "blacklist": ""}

    @made.post(BASE + "/projects/{project}/tag")
    async def tag(request: Request) -> JSONResponse:
        bench.orders.append(("POST", "tag", await request.json()))
        return bench.begin("tag", lambda: bench.fill(len(bench.images)))
