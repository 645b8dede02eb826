"""Routes of the presets: those that come with the program, the user's own, and what other programs' files say."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from lora_trainer.api.access import own_page
from lora_trainer.api.edge import BODY, LANGUAGE
from lora_trainer.api.schema import body, settings_schema
from lora_trainer.api.services import Services
from lora_trainer.errors import BadSettings, Unknown
from lora_trainer.interop.files import MAX_BYTES, flat, parse
from lora_trainer.language import translate
from lora_trainer.presets.composing import Preset, built_in, find_built_in
from lora_trainer.presets.own import checked, is_preset, read_text, to_text
from lora_trainer.project import reading
from lora_trainer.settings import fields

TAGS: list[str | Enum] = ["presets"]
SUFFIX = ".safetensors"


def add(router: APIRouter, services: Services) -> None:
    """Add the routes."""
    _add_list(router, services)
    _add_changes(router, services)
    _add_import(router, services)


def _add_list(router: APIRouter, services: Services) -> None:
    @router.get("/presets", tags=TAGS, summary="All presets, the built-in ones first")
    def presets(goal: str = "", family: str = "", language: str = LANGUAGE) -> list[dict[str, Any]]:
        chosen = [p for p in built_in() if p.goal == (goal or p.goal) and p.family == (family or p.family)]
        return [told(preset, language) for preset in (*chosen, *services.presets.list())]

    @router.get("/presets/{preset_id}/file", tags=TAGS, summary="A preset as a file, to share it")
    def file(preset_id: str, language: str = LANGUAGE) -> Response:
        preset = find_built_in(preset_id) or services.presets.find(preset_id)
        title = preset.title(language)
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(title, safe='')}.json"}
        return Response(to_text(title, preset.values), media_type="application/json", headers=headers)


def _add_changes(router: APIRouter, services: Services) -> None:
    asked: dict[str, Any] = {"tags": TAGS, "dependencies": [Depends(own_page)]}
    wanted = body({"name": {"type": "string"}, "settings": settings_schema()}, "name", "settings")

    @router.post("/presets", summary="Keep settings as a preset", status_code=201, openapi_extra=wanted, **asked)
    def save(values: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        kept = services.presets.save(reading.text(values, "name"), reading.mapping(values, "settings"))
        return told(kept, language)

    @router.delete("/presets/{preset_id}", summary="Remove a preset of one's own", **asked)
    def delete(preset_id: str) -> dict[str, Any]:
        if find_built_in(preset_id):
            raise BadSettings("preset_built_in")
        services.presets.delete(preset_id)
        return {}


def _add_import(router: APIRouter, services: Services) -> None:
    @router.post(
        "/settings/import",
        tags=TAGS,
        summary="Settings out of a preset, a config of kohya's scripts or their front ends, or a LoRA's metadata",
        dependencies=[Depends(own_page)],
        openapi_extra=body({"text": {"type": "string"}, "lora": {"type": "string"}}),
    )
    def take_over(values: dict[str, Any] = BODY, language: str = LANGUAGE) -> dict[str, Any]:
        if name := reading.text(values, "lora").strip():
            return from_file(find_lora(services.worker.host.paths.loras, name), language, ("name",))
        return from_text(reading.text(values, "text", most=MAX_BYTES), language)


def told(preset: Preset, language: str) -> dict[str, Any]:
    """A preset for JSON."""
    return {
        "id": preset.id,
        "title": preset.title(language),
        "goal": preset.goal,
        "family": preset.family,
        "memory_gb": preset.memory_gb,
        "values": dict(preset.values),
        "reasons": preset.why(language),
        "own": preset.own,
    }


def from_text(text: str, language: str) -> dict[str, Any]:
    """What a config says: a preset or settings of ours, or another program's. Raises ``BadSettings``."""
    if not text.strip():
        raise BadSettings("import_empty", field="text")
    with TemporaryDirectory() as folder:
        path = Path(folder) / ("config.json" if text.lstrip().startswith("{") else "config.toml")
        config = parse(text, path)
        if is_preset(config):
            return imported(read_text(text)[1])
        own = flat(config) if isinstance(config, dict) else {}
        try:
            path.write_text(text, encoding="utf-8")
            return from_file(path, language)
        except BadSettings as error:
            if error.key != "import_own":
                raise
            return imported(checked({name: value for name, value in own.items() if name in fields()}))


def from_file(path: Path, language: str, without: Sequence[str] = ()) -> dict[str, Any]:
    """What a file of another program, or a LoRA, says. The images are the project's own. Raises ``BadSettings``."""
    from lora_trainer.interop import import_file
    from lora_trainer.interop.listing import note_lines

    found = import_file(path)
    values = {name: value for name, value in found.values.items() if name not in ("images", *without)}
    ignored = note_lines(found.ignored, language)
    if "images" in found.values:
        ignored.append(translate("error.import_place", language))
    return {**imported(values), "ignored": ignored, "different": note_lines(found.differs, language)}


def imported(values: dict[str, Any]) -> dict[str, Any]:
    """Settings that were taken over whole."""
    return {"values": values, "taken": [name for name in fields() if name in values], "ignored": [], "different": []}


def find_lora(folder: Path, name: str) -> Path:
    """The LoRA file called ``name``, which is compared with those that are there. Raises ``Unknown``."""
    wanted = name.removesuffix(SUFFIX)
    for path in sorted(folder.rglob(f"*{SUFFIX}")) if folder.is_dir() else []:
        if wanted in (path.stem, path.relative_to(folder).with_suffix("").as_posix()):
            return path
    raise Unknown("lora_unknown", field="lora", name=name)
