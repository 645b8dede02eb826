"""The process that ``patterns`` starts: reads one question as JSON from standard input and answers it in JSON.

It is run as a file, without the package, so it imports the standard library alone.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

LONGEST = 10_000  # letters of a tag that a replacement may make


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """``texts`` with None for each that stays, or ``error``, the part at fault, with its ``reason``."""
    flags = re.IGNORECASE if question["ignore_case"] else 0
    try:
        pattern = re.compile(question["pattern"], flags)
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        return {"error": "pattern", "reason": str(error)}
    try:
        # Finds nothing in an empty text with all groups unset, so that the replacement is read in any case.
        re.compile(question["pattern"] + "\n|", flags).sub(question["new"], "")
        texts = [pattern.sub(question["new"], text) for text in question["texts"]]
    except (re.error, IndexError) as error:
        return {"error": "new", "reason": str(error)}
    changed = [None if new == old else new for new, old in zip(texts, question["texts"], strict=True)]
    if any(len(text) > LONGEST for text in changed if text is not None):
        return {"error": "grows"}
    return {"texts": changed}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin))))
