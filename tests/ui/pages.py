"""Serving the page to a browser, and looking at it: screenshots and axe where they are asked for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Playwright

from lora_trainer.ui.standalone import _listening

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
AXE = os.environ.get("LORA_TRAINER_AXE", "")  # the path of axe.min.js
SHOTS = os.environ.get("LORA_TRAINER_SHOTS", "")  # a folder for screenshots
SLOW_MS = 120_000  # the machine may be busy


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of ``app`` while it is served."""
    with _listening(0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(10)


@contextmanager
def shown(
    browser: Browser, address: str, *, width: int = 1400, locale: str = "en-US", theme: str = "light"
) -> Iterator[Page]:
    """The page in a window of its own; an error in its script fails the test."""
    problems: list[str] = []
    scheme: Any = theme
    context = browser.new_context(viewport={"width": width, "height": 900}, locale=locale, color_scheme=scheme)
    tab = context.new_page()
    tab.set_default_timeout(SLOW_MS)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("dialog", lambda dialog: problems.append(dialog.message))
    tab.goto(address)
    tab.wait_for_selector("#lora_trainer_live", state="attached")
    yield tab
    context.close()
    assert problems == []


def shoot(tab: Page, name: str) -> None:
    """Keep a screenshot where somebody wants to look at it."""
    if SHOTS:
        tab.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def look_at(tab: Page, name: str) -> None:
    """Keep screenshots of a state in both themes, wide and narrow, where somebody wants to look at them."""
    before = tab.viewport_size
    if not SHOTS or not before:
        return
    for theme in ("light", "dark"):
        for width in (1400, 400):
            scheme: Any = theme
            tab.emulate_media(color_scheme=scheme)
            tab.set_viewport_size({"width": width, "height": 900})
            tab.wait_for_timeout(250)
            shoot(tab, f"{name}-{theme}-{width}")
    tab.emulate_media(color_scheme="light")
    tab.set_viewport_size(before)


def bad_for_some(tab: Page) -> list[str]:
    """What axe-core calls serious or critical; nothing where it is not installed."""
    if not AXE:
        return []
    tab.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found: list[str] = tab.evaluate(
        """async () => (await axe.run(document.querySelector("#lora_trainer"))).violations
            .filter((one) => one.impact === "serious" || one.impact === "critical")
            .map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).join("; ")}`)"""
    )
    return found
