"""Every text exists in both languages with the same values to fill in, and every one is used."""

from __future__ import annotations

import re

from lora_trainer.picking.choice import Reason
from tests.texts import code, named, same_in_both, texts

CODE = code("picking/*.py")


def test_both_languages_say_the_same() -> None:
    same_in_both("picking")


def test_every_error_that_is_raised_has_a_text_and_every_text_an_error() -> None:
    keys = {key for key in texts("en", "picking") if key.startswith("error.")}
    assert {f"error.{key}" for key in named("BadSettings", CODE)} == keys


def test_no_text_is_left_over() -> None:
    words = set(re.findall(r'"(?:curve\.)?(\w+)"', CODE)) | set(re.findall(r"'(\w+)'", CODE))
    derived = {
        f"{prefix}_{name}" for prefix in ("caption", "column", "fact", "legend", "held_out", "train") for name in words
    }
    derived |= {f"{name}_{how}" for name in ("held_out", "train") for how in ("better", "alone", "worse")}
    unused = {key for key in texts("en", "picking") if not key.startswith("error.")} - {
        f"{group}.{name}" for group in ("choice", "curve", "report") for name in words | derived
    }
    assert not unused


def test_a_reason_is_said_in_both_languages() -> None:
    reason = Reason("held_out_better", {"epoch": 7, "loss": 0.08312, "percent": 21.0})
    english = "Averaged with its neighbours, held-out loss is lowest at epoch 7: 0.0831 there, "
    assert reason.text() == english + "21 % below the base model's."
    assert reason.text("zh") == "与相邻轮次平均后，留出损失在第 7 轮最低：该轮为 0.0831，比底模低 21%。"
