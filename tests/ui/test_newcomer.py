"""The newcomer's path on the real server with the Sprites world: from an empty page to *Use this LoRA*."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, Page, expect

from lora_trainer.language import translate
from tests.ui.pages import CHROMIUM, bad_for_some, look_at, shown
from tests.ui.real_server import GHOST, SHORT, Server, drop

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]

MOST_CLICKS, MOST_DECISIONS = 5, 3
# What a user does is counted where it arrives; what a script does (a file chooser's click, say) is not trusted.
COUNT = """
window.counted = {clicks: [], decisions: new Set()};
const label = (node) => (node.closest("label, button, [role]") || node).textContent.trim().slice(0, 40);
const decided = {radio: "what it is", text: "words"}; // the default is a decision, too, where it is pressed
const decide = ({target}) => target.type && counted.decisions.add(decided[target.type] || target.outerHTML);
document.addEventListener("drop", () => counted.decisions.add("images"), true);
document.addEventListener("input", decide, true);
document.addEventListener("click", (event) => {
    if (!event.isTrusted) return;
    counted.clicks.push(label(event.target));
    if (event.target.type === "radio") decide(event);
}, true);
"""


@pytest.fixture()
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_three_decisions_and_five_clicks(browser: Browser, server: Server, locale: str) -> None:
    say = partial(translate, language=locale[:2])
    with shown(browser, server.address, locale=locale) as tab:
        tab.evaluate(COUNT)
        look(tab, "1-empty", locale)
        _decide(tab, say, server, locale)
        tab.get_by_role("button", name=say("ui.images.start"), exact=True).click()
        _watch(tab, say, server, locale)
        tab.get_by_role("button", name=say("ui.train.see_results")).click()
        expect(tab.locator("td.lt-best img")).to_have_js_property("complete", True)
        look(tab, "5-results", locale)
        tab.get_by_role("button", name=say("ui.results.use"), exact=True).click()
        expect(tab.locator(".lt-aside .lt-notice-done input")).to_have_value("<lora:my_ghost-000001:1> ghost")
        look(tab, "6-used", locale)
        counted = tab.evaluate("() => ({clicks: counted.clicks, decisions: [...counted.decisions]})")
        _no_text_is_missing(tab)
    print(counted)
    assert len(counted["clicks"]) <= MOST_CLICKS, counted["clicks"]
    assert len(counted["decisions"]) <= MOST_DECISIONS, counted["decisions"]
    loras = server.home / "loras"
    assert {file.suffix for file in loras.iterdir() if file.stem == "my_ghost-000001"} >= {".safetensors", ".json"}


def _decide(tab: Page, say: Any, server: Server, locale: str) -> None:
    """The images, what they show, and the two words; the run is made short behind the page's back."""
    drop(tab, sorted(GHOST.iterdir()))
    expect(tab.locator("[data-step=images] .lt-step-summary")).to_have_text(say("ui.images.summary", count=20))
    (project,) = server.call("projects")
    server.shorten(project["id"])
    trigger = tab.get_by_label(say("ui.images.trigger"))
    expect(trigger).to_be_focused()
    tab.keyboard.type("ghost")
    tab.keyboard.press("Tab")
    tab.keyboard.press("ControlOrMeta+A")
    tab.keyboard.type("my_ghost")
    tab.get_by_label(say("ui.images.goal_character"), exact=True).click()
    expect(tab.locator(".lt-project")).to_contain_text("my_ghost")
    expect(tab.locator(".lt-promise")).not_to_be_empty()
    look(tab, "2-decided", locale)


def _watch(tab: Page, say: Any, server: Server, locale: str) -> None:
    """The run goes by itself from the check to the suggestion."""
    expect(tab.locator("[data-step=train]")).to_have_attribute("aria-current", "step")
    expect(tab.locator(".lt-run .lt-progress")).to_be_visible()
    look(tab, "3-running", locale)
    server.until(lambda status: status["state"] != "running")
    expect(tab.locator(".lt-run")).to_have_attribute("data-state", "finished")
    expect(tab.locator(".lt-run .lt-notice-done")).to_contain_text(say("ui.train.next_finished"))
    look(tab, "4-finished", locale)


def look(tab: Page, state: str, locale: str) -> None:
    look_at(tab, f"newcomer-{state}-{locale[:2]}")
    assert bad_for_some(tab) == []


def _no_text_is_missing(tab: Page) -> None:
    left_over = re.findall(r"\b(?:ui|setting|error)\.[a-z]+\.\w+|\{\w+\}", tab.locator("#lora_trainer").inner_text())
    assert left_over == []


def test_a_short_run_is_what_the_settings_say(server: Server) -> None:
    """What the test changes behind the page's back are settings that a user could change as well."""
    fields = {field["name"] for group in server.call("schema")["groups"] for field in group["fields"]}
    assert set(SHORT) <= fields
