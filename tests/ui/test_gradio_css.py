"""The page inside a real page of gradio's: what gradio's styles do to prose, lists and buttons does not reach it."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

pytest.importorskip("playwright.sync_api")

from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from lora_trainer.ui.tab import build
from tests.ui.fake_run_server import FINISHED, Scene, app, made_grid
from tests.ui.pages import CHROMIUM, SLOW_MS, served

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]

WAITING = {"id": "q", "project": "p1", "name": "next", "changed": {}, "state": "waiting", "message": ""}
SCENES: dict[str, tuple[str, dict[str, Any]]] = {
    "plan": ("train", {"queue": [WAITING], "plan": {"unusual": [{"field": "network_dim", "text": "Much."}]}}),
    "results": ("results", {"run": FINISHED, "grid": made_grid()}),
}
SIDES = [f"{kind}-{side}" for kind in ("margin", "padding") for side in ("top", "bottom")]
SAME = [*SIDES, "line-height", "list-style-type", "text-transform", "letter-spacing", "white-space", "display"]
LOOK = """(names) => [...document.querySelectorAll("#lora_trainer *:not(.lt-away, option, input, button *)")]
.map((node) => {
    const style = getComputedStyle(node);
    return [`${node.tagName} ${node.getAttribute("class")}`, names.map((name) => style.getPropertyValue(name))];
})"""
BRING = "() => import(new URL('./lora_trainer/v1/page/test/main.mjs', `${location.origin}/`))"
MARK = {"plan": ".lt-plan-facts div", "results": "td.lt-best"}


def in_gradio(scene: Scene) -> FastAPI:
    """The tab as the WebUI has it, in a page of gradio's, with the page's routes."""
    made = FastAPI()
    made.router.routes += [route for route in app(scene).routes if "/lora_trainer/" in getattr(route, "path", "")]
    tab = build()
    with gr.Blocks(analytics_enabled=False) as blocks, gr.Tabs(), gr.TabItem("LoRA Trainer"):
        tab.render()
    return gr.mount_gradio_app(made, blocks, path="/")


def look(browser: Browser, address: str, state: str, bring: bool) -> list[tuple[str, list[str]]]:
    tab: Page = browser.new_page(viewport={"width": 1300, "height": 900}, locale="en-US")
    tab.set_default_timeout(SLOW_MS)
    tab.goto(f"{address}#lt/p1/{SCENES[state][0]}")
    tab.wait_for_selector("#lora_trainer")
    if bring:
        tab.evaluate(BRING)
    tab.wait_for_selector(MARK[state])
    tab.evaluate("() => document.querySelectorAll('#lora_trainer details').forEach((fold) => { fold.open = true; })")
    tab.wait_for_timeout(1000)
    expect(tab.locator("#lora_trainer select").first).to_have_css("background-image", "none")
    found: list[tuple[str, list[str]]] = tab.evaluate(LOOK, SAME)
    tab.close()
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("state", SCENES)
def test_nothing_of_gradios_reaches_the_page(browser: Browser, state: str) -> None:
    scene = Scene(**SCENES[state][1])
    with served(app(scene)) as plain:
        alone = look(browser, plain, state, bring=False)
    with served(in_gradio(scene)) as address:
        inside = look(browser, address, state, bring=True)
    assert [name for name, _ in inside] == [name for name, _ in alone]
    other = set()
    for (name, new), (_, old) in zip(inside, alone, strict=True):
        other |= {(name, *one) for one in zip(SAME, old, new, strict=True) if one[1] != one[2]}
    assert sorted(other) == []
