"""Fixtures of the captions' tests."""

from __future__ import annotations

import pytest

from lora_trainer.captions import pattern_worker, patterns


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regular expressions run here, not in a process of their own: starting one takes longer than the whole test."""
    monkeypatch.setattr(patterns, "_ask", pattern_worker.answer)
