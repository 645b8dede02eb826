"""The whole path on the real server without a mouse: Tab, Enter, Space and arrows, and what a screen reader hears."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, Page, expect

from lora_trainer.language import translate
from tests.ui.pages import CHROMIUM, shown
from tests.ui.real_server import GHOST, Server

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]

MOST_TABS = 60  # no control is further away than this
# All that the live regions say, in order.
LISTEN = """
window.heard = [];
for (const id of ["lora_trainer_live", "lora_trainer_alert"]) {
    new MutationObserver(() => {
        const text = document.getElementById(id).textContent;
        if (text && text !== heard.at(-1)) heard.push(text);
    }).observe(document.getElementById(id), {childList: true, characterData: true, subtree: true});
}
document.addEventListener("pointerdown", () => heard.push("a mouse was used"), true);
"""
FOCUSED = """() => {
    const node = document.activeElement, box = node.getBoundingClientRect(), style = getComputedStyle(node);
    const label = node.labels && node.labels[0] ? node.labels[0].textContent : node.getAttribute("aria-label");
    const inside = [node, ...(node.labels || [])].some((one) => one.getClientRects().length);
    const ring = [node, node.parentElement, ...(node.labels || [])].some((one) => {
        const style = getComputedStyle(one);
        return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none";
    });
    return {name: (label || node.textContent || node.value || "").trim(), tag: node.tagName, shown: inside, ring};
}"""


@pytest.fixture()
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_from_the_empty_page_to_the_lora(browser: Browser, server: Server, language: str) -> None:
    def say(key: str, **values: object) -> str:
        return translate(key, language, **values)

    with shown(browser, server.address, locale={"en": "en-US", "zh": "zh-CN"}[language]) as tab:
        tab.evaluate(LISTEN)
        walk_to(tab, say("ui.images.path"))
        tab.keyboard.type(str(GHOST))
        tab.keyboard.press("Enter")
        expect(tab.locator("[data-step=images] .lt-step-summary")).to_have_text(say("ui.images.summary", count=20))
        expect(tab.get_by_label(say("ui.images.trigger"))).to_be_focused()
        server.shorten(server.call("projects")[0]["id"])
        tab.keyboard.type("ghost")
        walk_to(tab, say("ui.images.goal_character"), back=True)
        for key, goal in (("ArrowRight", "style"), ("ArrowLeft", "character")):
            tab.keyboard.press(key)
            expect(tab.get_by_label(say(f"ui.images.goal_{goal}"), exact=True)).to_be_checked()
        walk_to(tab, say("ui.images.start"))
        tab.keyboard.press("Enter")
        expect(tab.locator("[data-step=train]")).to_have_attribute("aria-current", "step")
        server.until(lambda status: status["state"] in ("finished", "failed"))
        expect(tab.locator(".lt-run")).to_have_attribute("data-state", "finished")
        walk_to(tab, say("ui.train.see_results"))
        tab.keyboard.press("Enter")
        expect(tab.locator("td.lt-best")).to_be_visible()
        walk_to(tab, say("ui.results.use"))
        tab.keyboard.press("Enter")
        expect(tab.locator(".lt-aside .lt-notice-done")).to_be_visible()
        heard = tab.evaluate("() => heard")
    print(*heard, sep="\n")
    _everything_was_told(heard, say("ui.images.imported", count=20), say("ui.results.used_outside", epoch=1, weight=1))


def _everything_was_told(heard: list[str], first: str, last: str) -> None:
    """The images, the stages of the run with its numbers, its end and the outcome are announced, in this order."""
    stages = [re.compile(re.escape(first)), re.compile(r"\D1\D.*\D1\D"), re.compile(re.escape(last))]
    at = 0
    for stage in stages:
        found = next((n for n in range(at, len(heard)) if stage.search(heard[n])), None)
        assert found is not None, (stage.pattern, heard)
        at = found
    assert "a mouse was used" not in heard
    assert not [text for text in heard if re.search(r"\{\w+\}|\b(ui|run|task)\.\w+", text)]


def walk_to(tab: Page, name: str, back: bool = False) -> None:
    """Press Tab until the control of that name has the focus; every stop on the way is seen and marked."""
    for _ in range(MOST_TABS):
        found = tab.evaluate(FOCUSED)
        if found["name"].startswith(name):
            return
        tab.keyboard.press("Shift+Tab" if back else "Tab")
        found = tab.evaluate(FOCUSED)
        assert found["shown"] or found["tag"] in ("BODY", "HTML"), f"the focus is on something hidden: {found}"
        assert found["ring"] or found["tag"] in ("BODY", "HTML"), f"the focus cannot be seen: {found}"
    raise AssertionError(f"{name!r} was not reached with {MOST_TABS} tabs")
