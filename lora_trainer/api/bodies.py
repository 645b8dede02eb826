"""What the bodies of the orders hold, for OpenAPI: those that are not described beside their route.

The routes read bodies themselves (``lora_trainer.project.reading``) and refuse what is wrong with a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields as dataclass_fields
from typing import Any

from fastapi.routing import APIRoute

from lora_trainer.api.edge import PREFIX
from lora_trainer.api.schema import TYPES, body, settings_schema
from lora_trainer.project.projects import GOALS
from lora_trainer.project.tagging import TaggingOptions

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean", "default": False}
COUNT: Schema = {"type": "integer", "minimum": 1}
IDS: Schema = {"type": "array", "items": TEXT, "description": "Ids of images"}
SOME_OR_ALL: Schema = {"oneOf": [IDS, {"type": "string", "enum": ["all"]}]}
SELECTION: Schema = {
    "type": "object",
    "properties": {
        "scope": {"type": "string", "enum": ["all", "filtered", "selected"]},
        "filter": {**TEXT, "description": "Such as `hat and not (red or blue*)`"},
        "images": IDS,
    },
}
OPERATION: Schema = {
    "type": "object",
    "required": ["kind"],
    "properties": {
        "kind": {
            "type": "string",
            "enum": ["add", "remove", "replace", "pattern", "deduplicate", "sort"],
        },
        "words": {"oneOf": [TEXT, {"type": "array", "items": TEXT}], "description": "add, remove"},
        "at": {"type": "integer", "nullable": True, "description": "add: 0 is the head, null the tail"},
        "old": {**TEXT, "description": "replace"},
        "pattern": {**TEXT, "description": "pattern: a regular expression"},
        "new": {**TEXT, "description": "replace, pattern"},
        "inside": {**FLAG, "description": "replace: within tags too"},
        "ignore_case": {**FLAG, "description": "pattern"},
        "by_frequency": {**FLAG, "description": "sort"},
    },
}
PROJECT = "/projects/{project_id}"


def describe(routes: Iterable[object]) -> None:
    """Give the routes of ``routes`` that have no description of their body theirs."""
    known = _bodies()
    for route in routes:
        if not isinstance(route, APIRoute) or route.openapi_extra or route.methods <= {"GET", "HEAD"}:
            continue
        route.openapi_extra = known.get(f"{min(route.methods)} {route.path.removeprefix(PREFIX)}", body())


def _bodies() -> dict[str, Schema]:
    edit = body({"operation": OPERATION, "selection": SELECTION}, "operation")
    named = {"name": TEXT, "goal": {"type": "string", "enum": list(GOALS)}}
    changed = {**named, "preset": TEXT, "settings": {**settings_schema(), "description": "null takes a value back"}}
    found = {
        "POST /projects": body(named),
        f"PATCH {PROJECT}": body(changed),
        f"PUT {PROJECT}/images/{{image}}/caption": body({"text": TEXT}, "text"),
        f"POST {PROJECT}/captions/preview": edit,
        f"POST {PROJECT}/captions/apply": edit,
        f"POST {PROJECT}/tag": body({**_tagging(), "download": FLAG}),
        f"POST {PROJECT}/findings/{{key}}/fix": body({"images": IDS}),
        f"PUT {PROJECT}/uploads/{{batch}}": _upload(),
    }
    return {**found, **_sets()}


def _sets() -> dict[str, Schema]:
    """Bodies of the routes that change which images there are."""
    drawn = {"prompt": TEXT, "count": COUNT, "seed": {"type": "integer"}}
    kind = {"type": "string", "enum": ["faces", "split", "mirror"]}
    crop = {"by": {"type": "string", "enum": ["centre", "focus"]}, "width": COUNT, "height": COUNT}
    path = {**TEXT, "description": "A folder or ZIP on the computer that runs this"}
    weight = {"type": "number"}
    return {
        f"POST {PROJECT}/import": body({"upload": TEXT, "path": path, "in_place": FLAG}),
        f"POST {PROJECT}/remove": body({"images": IDS}, "images"),
        f"POST {PROJECT}/remove_derived": body({"kind": kind}, "kind"),
        f"POST {PROJECT}/repeats": body({"folder": TEXT, "image": TEXT, "repeats": COUNT}, "repeats"),
        f"POST {PROJECT}/crop": body({"images": SOME_OR_ALL, **crop}, "images"),
        f"POST {PROJECT}/derive": body({"kind": kind, "images": SOME_OR_ALL, "repeats": COUNT}, "kind", "images"),
        f"POST {PROJECT}/reg": body({"path": path, **drawn}),
        f"POST {PROJECT}/drafts": body({"run": TEXT, "epoch": COUNT, "weight": weight, **drawn}, "run", "epoch"),
        f"POST {PROJECT}/adopt": body({"pictures": {"type": "array", "items": TEXT}}, "pictures"),
    }


def _tagging() -> dict[str, Schema]:
    """The options of a tagging as properties."""
    kinds = {field.name: TYPES.get(type(field.default), "number") for field in dataclass_fields(TaggingOptions)}
    return {
        field.name: {"type": kinds[field.name], "default": field.default} for field in dataclass_fields(TaggingOptions)
    }


def _upload() -> Schema:
    content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}
