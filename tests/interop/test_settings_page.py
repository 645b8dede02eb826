"""The committed page of settings is the one that the program makes."""

from __future__ import annotations

import re

from lora_trainer.interop.settings_page import PAGE, page
from lora_trainer.settings import fields


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m lora_trainer.interop.settings_page"


def test_the_page_has_a_row_for_every_setting() -> None:
    rows = [row for row in page().splitlines() if row.startswith("| `")]
    assert [re.match(r"\| `(\w+)`", row)[1] for row in rows] == list(fields())  # type: ignore[index]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)
