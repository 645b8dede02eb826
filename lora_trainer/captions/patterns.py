"""Replacing by regular expressions, in a process of its own that can be ended.

Python's expressions have no time limit and hold everything up while they run: ``(a+)+$`` on forty letters takes years.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lora_trainer.errors import BadSettings

WORKER = Path(__file__).with_name("pattern_worker.py")
LIMIT_S = 8.0
MOST_LETTERS = 500  # of an expression, and of what replaces it


def replaced(pattern: str, new: str, found: Iterable[str], ignore_case: bool = False) -> dict[str, str]:
    """What becomes of each of the tags ``found`` that changes. Raises ``BadSettings`` for an expression or a
    replacement that is malformed, and for one that takes longer than ``LIMIT_S``."""
    if max(len(pattern), len(new)) > MOST_LETTERS:
        raise BadSettings("pattern_long", field="pattern", most=MOST_LETTERS)
    if not pattern:
        return {}
    texts = sorted(found)
    answer = _ask({"pattern": pattern, "new": new, "ignore_case": ignore_case, "texts": texts})
    if "error" in answer:
        key = {"pattern": "pattern_malformed", "new": "pattern_replacement"}.get(answer["error"], "pattern_grows")
        raise BadSettings(key, field="pattern", pattern=pattern, new=new, reason=answer.get("reason", ""))
    return {old: text for old, text in zip(texts, answer["texts"], strict=True) if text is not None}


def _ask(question: dict[str, Any]) -> dict[str, Any]:
    """The worker's answer."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(WORKER)],
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=LIMIT_S,
            check=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows would show a console
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise BadSettings("pattern_slow", field="pattern", pattern=question["pattern"], seconds=LIMIT_S) from error
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise BadSettings("pattern_failed", field="pattern", reason=error) from error
    return answer
