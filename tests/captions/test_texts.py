"""Every message and title of the captions' room exists in both languages, and none is left over."""

from __future__ import annotations

import re

from tests.texts import code, same_in_both, texts

STEPS = ("undo", "redo")


def test_texts_and_code_name_the_same_keys() -> None:
    source = code("captions/*.py")
    errors = set(re.findall(r'"((?:filter|pattern|captions?)_\w+)"', source)) | {
        f"caption_{step}_changed" for step in STEPS
    }
    errors -= {"caption_unreadable", "caption_extension"}  # the data set's own
    used = {f"error.{key}" for key in errors} | set(re.findall(r'"(captions\.(?!did_")\w+)"', source))
    # What the page shows beside the list and above the proposals.
    shown = {"captions.untagged", "captions.bind_why"}
    assert set(texts("en", "captions")) == used - {"captions.jsonl", "captions.lock"} | shown
    same_in_both("captions")
