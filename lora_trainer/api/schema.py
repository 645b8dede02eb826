"""All settings as data, from the dataclasses: for forms, and for the bodies that OpenAPI describes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints

from fastapi import APIRouter

from lora_trainer.api.edge import LANGUAGE
from lora_trainer.api.services import Services
from lora_trainer.language import English, translate
from lora_trainer.settings import fields, groups

TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
LEAST_RATE = 1e-5  # how far the arrows of a learning rate go


def add(router: APIRouter, services: Services) -> None:
    """Add the route."""

    @router.get("/schema", tags=["about"], summary="Every setting: kind, limits, unit, and when it means anything")
    def schema(language: str = LANGUAGE) -> dict[str, Any]:
        return form(language)


def form(language: str) -> dict[str, Any]:
    """The groups and fields of a form. ``needs`` are the values that other settings must have for a field to be shown
    (``lora_trainer.settings.field.shown``); it is None where a field always means something."""
    return {
        "groups": [
            {
                "key": group,
                "label": translate(f"ui.group_{group}", language),
                "fields": [_described(field, language) for field in dataclasses.fields(kind)],
            }
            for group, kind in groups().items()
        ]
    }


def _described(field: dataclasses.Field[Any], language: str) -> dict[str, Any]:
    about = field.metadata
    unit = about.get("unit")
    return {
        "name": field.name,
        "label": translate(f"setting.{field.name}.label", language),
        "help": translate(f"setting.{field.name}.help", language),
        "kind": kind_of(field),
        "default": field.default,
        "low": about.get("low"),
        "high": about.get("high"),
        "step": _step(field),
        "unit": translate(f"unit.{unit}", language) if unit else "",
        "choices": list(about.get("choices") or about.get("suggestions") or ()),
        "basic": bool(about.get("basic")),
        "needs": about.get("needs") or None,
    }


def kind_of(field: dataclasses.Field[Any]) -> str:
    """``bool``, ``int``, ``float``, ``text``, ``choice``, ``suggest`` (others are taken too), ``lines`` or
    ``numbers``."""
    if isinstance(field.default, bool):
        return "bool"
    for key, kind in (("choices", "choice"), ("suggestions", "suggest")):
        if field.metadata.get(key):
            return kind
    if isinstance(field.default, tuple):
        return "numbers" if _hints()[field.name] == tuple[float, ...] else "lines"
    return {int: "int", float: "float"}.get(type(field.default), "text")


def _step(field: dataclasses.Field[Any]) -> float | None:
    """How far the arrows of a number's box go: a tenth of the default's magnitude, and little for learning rates."""
    kind: str = kind_of(field)
    default: Any = field.default
    if kind == "int":
        return 1
    if kind != "float":
        return None
    if field.name.endswith(("_lr", "_lr2")):
        return LEAST_RATE
    return float(10 ** (math.floor(math.log10(default)) - 1)) if default else 0.01


@cache
def _hints() -> dict[str, Any]:
    """The type of every setting."""
    return {name: hint for kind in groups().values() for name, hint in get_type_hints(kind).items()}


# ---------------------------------------------------------------------- OpenAPI


@cache
def settings_schema() -> dict[str, Any]:
    """The flat settings as a JSON schema: any of them may be left out."""
    properties = {name: _json_schema(field) for name, (_, field) in fields().items()}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _json_schema(field: dataclasses.Field[Any]) -> dict[str, Any]:
    kind, about = kind_of(field), field.metadata
    help_text = translate(f"setting.{field.name}.help", English)
    said: dict[str, Any] = {"description": help_text, "default": field.default}
    if kind in ("lines", "numbers"):
        return {**said, "type": "array", "items": {"type": "string" if kind == "lines" else "number"}}
    said["type"] = TYPES[type(field.default)]
    limits = {"minimum": about.get("low"), "maximum": about.get("high"), "enum": list(about.get("choices") or ())}
    return {**said, **{key: value for key, value in limits.items() if value not in (None, [])}}


def body(properties: Mapping[str, Any] | None = None, *required: str) -> dict[str, Any]:
    """``openapi_extra`` of a route whose body is an object with these properties; without any, it is ``{}``."""
    schema = {"type": "object", "properties": dict(properties or {}), "required": list(required)}
    return body_of({key: value for key, value in schema.items() if value})


def body_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """``openapi_extra`` of a route whose body has this JSON schema."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": dict(schema)}}}}
