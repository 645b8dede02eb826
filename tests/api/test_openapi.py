"""The OpenAPI schema: every route is described, and every order says what its body holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from lora_trainer.api import PREFIX, add_routes
from lora_trainer.settings import fields
from tests.api.fake import FakeWorker

Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture()
def schema(home: Path) -> dict[str, Any]:
    app = FastAPI()
    add_routes(app, FakeWorker(home))  # type: ignore[arg-type]
    return app.openapi()


def operations(schema: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in schema["paths"].items():
        yield from ((method, path, operation) for method, operation in methods.items())


def test_every_route_is_described(schema: dict[str, Any]) -> None:
    found = list(operations(schema))
    assert len(found) > 50
    for method, path, operation in found:
        assert path.startswith(PREFIX)
        assert operation.get("tags") and operation.get("summary"), (method, path)
        assert "key" in operation["responses"]["4XX"]["content"]["application/json"]["schema"]["properties"]
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(ids) == len(set(ids))


def test_every_order_says_what_its_body_holds(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        if method != "get":
            ((kind, content),) = operation["requestBody"]["content"].items()
            assert kind == ("application/octet-stream" if "/uploads/" in path else "application/json")
            assert content["schema"]["type"] in ("object", "string"), (method, path)
    bare = {
        path.removeprefix(PREFIX)
        for method, path, operation in operations(schema)
        if method in ("post", "patch", "put")
        and not next(iter(operation["requestBody"]["content"].values()))["schema"].keys() & {"properties", "format"}
    }
    alone = {"sample", "continue", "undo", "redo", "cancel", "check", "go", "restore"}  # they need no more words
    assert {path.rpartition("/")[2] for path in bare} == alone


def test_a_runs_settings_are_those_of_the_dataclasses(schema: dict[str, Any]) -> None:
    body = schema["paths"][f"{PREFIX}/runs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert list(body["properties"]) == list(fields())
    assert body["properties"]["epochs"]["maximum"] == 1000
