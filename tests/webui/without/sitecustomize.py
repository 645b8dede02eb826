"""Only for the tests: packages named in LORA_TRAINER_WITHOUT are not found, as if they were not installed."""

from __future__ import annotations

import os
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

HIDDEN = os.environ.get("LORA_TRAINER_WITHOUT", "").split(",")
find = PathFinder.find_spec


def find_spec(name: str, *arguments: Any, **named: Any) -> ModuleSpec | None:
    return None if name.split(".")[0] in HIDDEN else find(name, *arguments, **named)


PathFinder.find_spec = find_spec  # type: ignore[method-assign,assignment]
