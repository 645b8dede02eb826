"""The tab needs gradio, which the newest stack has not: there these tests are passed over."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import home, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["home", "settings"]

collect_ignore_glob = [] if find_spec("gradio") else ["test_*.py"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that a module's tests share, and patience for a busy computer."""
    from playwright.sync_api import expect, sync_playwright

    from tests.ui.pages import SLOW_MS, launch

    expect.set_options(timeout=SLOW_MS)
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()
