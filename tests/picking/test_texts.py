"""Every text exists in both languages with the same values to fill in, and every one is used."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter

import lora_trainer
from lora_trainer.picking.choice import Reason

PACKAGE = Path(lora_trainer.__file__).parent
CODE = "".join(file.read_text(encoding="utf-8") for file in sorted((PACKAGE / "picking").glob("*.py")))


def texts(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((PACKAGE / "locale" / language / "picking.json").read_text(encoding="utf-8"))
    return found


def places(text: str) -> set[tuple[str, str | None]]:
    return {(name, form) for _, name, form, _ in Formatter().parse(text) if name}


def test_both_languages_say_the_same() -> None:
    english, chinese = texts("en"), texts("zh")
    assert list(english) == list(chinese)
    assert {key: places(text) for key, text in english.items()} == {k: places(text) for k, text in chinese.items()}
    assert all(re.search("[\u4e00-\u9fff]", text) for text in chinese.values())
    assert not any(re.search("[\u2e80-\uffff]", text) for text in english.values())


def test_every_error_that_is_raised_has_a_text_and_every_text_an_error() -> None:
    raised = set(re.findall(r'BadSettings\(\s*"(\w+)"', CODE))
    assert {f"error.{key}" for key in raised} == {key for key in texts("en") if key.startswith("error.")}


def test_no_text_is_left_over() -> None:
    named = set(re.findall(r'"(?:curve\.)?(\w+)"', CODE)) | set(re.findall(r"'(\w+)'", CODE))
    derived = {
        f"{prefix}_{name}" for prefix in ("caption", "column", "fact", "legend", "held_out", "train") for name in named
    }
    derived |= {f"{name}_{how}" for name in ("held_out", "train") for how in ("better", "alone", "worse")}
    unused = {key for key in texts("en") if not key.startswith("error.")} - {
        f"{group}.{name}" for group in ("choice", "curve", "report") for name in named | derived
    }
    assert not unused


def test_a_reason_is_said_in_both_languages() -> None:
    reason = Reason("held_out_better", {"epoch": 7, "loss": 0.08312, "percent": 21.0})
    english = "Averaged with its neighbours, held-out loss is lowest at epoch 7: 0.0831 there, "
    assert reason.text() == english + "21 % below the base model's."
    assert reason.text("zh") == "与相邻轮次平均后，验证损失在第 7 轮最低：该轮为 0.0831，比底模低 21%。"
