"""Every state of the page on the real server, to be looked at: with ``LORA_TRAINER_SHOTS=FOLDER``, else passed over.

The newcomer's and the broken runs' states come with those tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, Page, expect

from lora_trainer.language import translate
from tests.ui.pages import CHROMIUM, SHOTS, bad_for_some, look_at, shown
from tests.ui.real_server import Server

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists() or not SHOTS, reason="LORA_TRAINER_SHOTS names no folder"),
    pytest.mark.slow,
]

LOCALES = {"en": "en-US", "zh": "zh-CN"}
Say = Callable[..., str]


@pytest.fixture()
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture(params=LOCALES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture()
def say(language: str) -> Say:
    return partial(translate, language=language)


def look(tab: Page, state: str, language: str) -> None:
    look_at(tab, f"state-{state}-{language}")
    assert bad_for_some(tab) == [], state


def unfold(tab: Page) -> None:
    """Open everything that is folded; what is inside is made when it is first opened."""
    tab.evaluate(
        "() => document.querySelectorAll('.lt-step:not([hidden]) details').forEach(one => { one.open = true; })"
    )
    tab.wait_for_timeout(500)


def test_before_a_run(browser: Browser, server: Server, say: Say, language: str) -> None:
    project = server.project(f"before_{language}")
    with shown(browser, f"{server.address}#lt/{project}/tags", locale=LOCALES[language]) as tab:
        expect(tab.locator(".lt-caption textarea").first).not_to_have_value("")
        look(tab, "tags", language)
        tab.locator("[data-step=train]").click()
        expect(tab.locator(".lt-plan-sentence")).not_to_be_empty()
        look(tab, "plan", language)
        server.call(f"projects/{project}", {"settings": {"unet_lr": 1.0, "network_dim": 256}}, "PATCH")
        tab.reload()
        expect(tab.locator(".lt-commit .lt-notice-warning")).to_be_visible()
        unfold(tab)
        look(tab, "plan-unusual-all-settings", language)
        _dialogs(tab, say, language)


def _dialogs(tab: Page, say: Say, language: str) -> None:
    tab.get_by_role("button", name=say("ui.presets.more")).click()
    look(tab, "presets-menu", language)
    tab.get_by_role("menuitem", name=say("ui.presets.import")).click()
    look(tab, "presets-import", language)
    tab.keyboard.press("Escape")
    tab.get_by_role("button", name=say("ui.queue.sweep")).click()
    look(tab, "sweep", language)
    tab.keyboard.press("Escape")
    tab.locator(".lt-project").click()
    look(tab, "projects-menu", language)
    tab.keyboard.press("Escape")
    tab.locator("[data-step=results]").click()
    look(tab, "results-nothing", language)
    tab.locator("[data-step=images]").click()
    tab.get_by_role("button", name=say("ui.images.guide")).click()
    look(tab, "guide", language)
    tab.keyboard.press("Escape")
    tab.locator(".lt-tile").first.dblclick()
    look(tab, "one-image", language)


def test_while_a_run_goes_on(browser: Browser, server: Server, say: Say, language: str) -> None:
    project, other = server.project(f"going_{language}", epochs=3), server.project(f"waits_{language}")
    server.call(f"projects/{project}", {"settings": {"repeats": 200, "sample_every_n_steps": 10}}, "PATCH")
    server.call(f"projects/{project}/start", {"queue": False})
    for _ in range(2):
        server.call("queue", {"project": other, "sweep": {"field": "unet_lr", "values": [1e-4, 2e-4]}})
    with shown(browser, f"{server.address}#lt/{project}/train", locale=LOCALES[language]) as tab:
        server.until(lambda status: status["step"] >= 35)
        expect(tab.locator(".lt-chart svg[role=img]")).to_be_visible()
        look(tab, "training-with-queue", language)
        tab.locator(".lt-shot").last.click()
        look(tab, "preview-enlarged", language)
        tab.keyboard.press("Escape")
        tab.get_by_role("button", name=say("ui.train.pause"), exact=True).click()
        expect(tab.locator(".lt-run")).to_have_attribute("data-state", "paused")
        look(tab, "paused", language)
        tab.goto(f"{server.address}#lt/{other}/train")
        tab.reload()
        expect(tab.locator(".lt-plan-sentence")).not_to_be_empty()
        look(tab, "another-one-is-paused", language)
        for entry in server.call("queue")["entries"]:
            server.call(f"queue/{entry['id']}", {}, "DELETE")
        tab.goto(f"{server.address}#lt/{project}/train")
        tab.reload()
        tab.get_by_role("button", name=say("ui.train.continue"), exact=True).click()
        expect(tab.locator(".lt-run")).to_have_attribute("data-state", "running")
        server.until(lambda status: "stop_now" in status["can"])
        tab.get_by_role("button", name=say("ui.train.stop_now"), exact=True).click()
        expect(tab.locator(".lt-run")).to_have_attribute("data-state", "stopped")
        look(tab, "stopped", language)


def test_after_a_run(browser: Browser, server: Server, say: Say, language: str) -> None:
    project = server.project(f"after_{language}", epochs=4, grid_epochs=4, grid_weights=[0.6, 0.8, 1.0], sample_steps=8)
    server.call(f"projects/{project}/start", {"queue": False})
    server.until(lambda status: status["state"] == "finished")
    with shown(browser, f"{server.address}#lt/{project}/results", locale=LOCALES[language]) as tab:
        expect(tab.locator("td.lt-best img")).to_be_visible()
        unfold(tab)
        tab.locator("td:not(.lt-best) img").last.focus()
        look(tab, "results-open", language)
        tab.locator("td.lt-best img").click()
        expect(tab.get_by_role("dialog")).to_be_visible()
        look(tab, "cell-enlarged", language)
        tab.get_by_role("button", name=say("ui.results.compare"), exact=True).click()
        look(tab, "compared", language)
        tab.keyboard.press("Escape")
        tab.get_by_role("button", name=re.compile(re.escape(say("ui.results.keep")))).click()
        look(tab, "keep", language)
