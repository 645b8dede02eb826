"""Every message and title of the captions' room exists in both languages, and none is left over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import lora_trainer

PACKAGE = Path(lora_trainer.__file__).parent
STEPS = ("undo", "redo")


def test_texts_and_code_name_the_same_keys() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in (PACKAGE / "captions").glob("*.py"))
    errors = set(re.findall(r'"((?:filter|pattern|captions?)_\w+)"', code)) | {
        f"caption_{step}_changed" for step in STEPS
    }
    errors -= {"caption_unreadable", "caption_extension"}  # the data set's own
    used = {f"error.{key}" for key in errors} | set(re.findall(r'"(captions\.(?!did_")\w+)"', code))
    for language in ("en", "zh"):
        texts = json.loads((PACKAGE / "locale" / language / "captions.json").read_text(encoding="utf-8"))
        # What the page will show beside the list and above the proposals.
        assert set(texts) == used - {"captions.jsonl", "captions.lock"} | {"captions.untagged", "captions.bind_why"}
