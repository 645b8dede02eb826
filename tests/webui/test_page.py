"""Our tab in the real WebUI's page: both themes, both languages, wide and narrow; and what *Reload UI* leaves behind.

``--shots FOLDER`` keeps a screenshot of every step in each; ``LORA_TRAINER_AXE`` names an axe.min.js.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, Page, expect, sync_playwright

from lora_trainer.language import translate
from tests.ui.pages import bad_for_some, launch
from tests.webui.conftest import CHROMIUM, OURS_ONLY, PATIENCE_MS
from tests.webui.driver import RUN, WebUI

pytestmark = [pytest.mark.webui, pytest.mark.slow]

STEPS = ("images", "tags", "train", "results")
LANGUAGES = {"en": ("None", "Train LoRA"), "zh": ("zh_CN", "训练 LoRA")}  # the WebUI's name of it, our tab's
MARKS = {"images": ".lt-tile img", "tags": ".lt-caption", "train": ".lt-chart svg", "results": "td.lt-best img"}
SETTLE_MS = 700
OUTLINE = 3  # pixels that a mark of the focus may stand out
# What would grow if a *Reload UI* left something of the last page behind.
COUNTED = """
import threading
from collections import Counter
from modules import script_callbacks
paths = Counter((r.path, *sorted(getattr(r, "methods", None) or ())) for r in app.routes)
ours = {name: count for name, count in paths.items() if "/lora_trainer/" in name[0]}
callbacks = [c.script for found in script_callbacks.callback_map.values() for c in found]
out = {
    "routes": len(ours),
    "twice": [name for name, count in ours.items() if count > 1],
    "callbacks": sum("lora-trainer/" in (script or "") for script in callbacks),
    "threads": sorted(t.name for t in threading.enumerate() if t.name in ("lora_trainer", "lora_trainer queue")),
    "worker": id(worker),
}
"""


@dataclass
class Window:
    """A window with the WebUI, and what went wrong in our part of it."""

    tab: Page
    language: str
    theme: str
    width: int
    problems: list[str]


@pytest.fixture(scope="module")
def browser(complete: WebUI) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="module")
def project(complete: WebUI) -> str:
    """A project with pictures, captions, and a run that has ended."""
    base = "/lora_trainer/v1/projects"
    made: str = complete.call(base, {"name": "ghosts"})["id"]
    task = complete.call(f"{base}/{made}/import", {"path": RUN["images"]})["task"]
    complete.until(f"/lora_trainer/v1/tasks/{task}", lambda told: told["state"] != "running")
    settings = {name: value for name, value in RUN.items() if name != "images"}
    complete.call(f"{base}/{made}", {"settings": settings}, "PATCH")
    check = complete.call(f"{base}/{made}/check", {})["task"]
    complete.until(f"/lora_trainer/v1/tasks/{check}", lambda told: told["state"] != "running")
    complete.call(f"{base}/{made}/start", {"queue": False})
    assert complete.finished()["state"] == "finished"
    return made


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest, inside_module: WebUI) -> Iterator[str]:
    """The WebUI in one of the two languages."""
    speak(inside_module, LANGUAGES[request.param][0])
    yield request.param
    speak(inside_module, "None")


@pytest.fixture(scope="module")
def inside_module(complete: WebUI) -> WebUI:
    if complete.data is None:
        pytest.skip("only in a WebUI that the tests start")
    return complete


def speak(webui: WebUI, localization: str) -> None:
    """Choose the WebUI's language, as its settings do: it is in force after *Reload UI*."""
    if webui.call("/sdapi/v1/options")["localization"] == localization:
        return
    webui.call("/sdapi/v1/options", {"localization": localization})
    reload_ui(webui)


def reload_ui(webui: WebUI) -> None:
    """What the button *Reload UI* does; returns when the page is there again."""
    assert webui.data is not None
    log = webui.data / "webui.log"
    before = log.read_bytes().count(b"Startup time")
    webui.probe("from modules import shared\nshared.state.request_restart()")
    webui.wait_in_log(lambda text: text.count(b"Startup time") > before)
    webui.wait_for_us()


@contextmanager
def window(browser: Browser, webui: WebUI, language: str, theme: str, width: int) -> Iterator[Window]:
    """The WebUI's page in a window of its own, with our tab open."""
    context = browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE_MS)
    tab.route(OURS_ONLY, lambda route: route.abort())  # the page would wait for fonts from outside
    opened = Window(tab, language, theme, width, [])
    tab.on("pageerror", lambda error: opened.problems.append(f"{error}\n{error.stack}"))
    tab.on("console", lambda line: line.type == "error" and _note(opened, f"{line.text} {line.location}"))
    tab.on("response", lambda answer: answer.status >= 400 and _note(opened, f"{answer.status} {answer.url}"))
    tab.goto(f"{webui.address}/?__theme={theme}", wait_until="domcontentloaded")
    tab.wait_for_selector("#txt2img_generate", state="visible")
    tab.wait_for_function("() => typeof opts === 'object' && Object.keys(opts).length > 50")
    open_tab(opened)
    yield opened
    context.close()


def _note(opened: Window, text: str) -> None:
    if "lora_trainer" in text:
        opened.problems.append(text)


def open_tab(opened: Window) -> None:
    tab = opened.tab
    tab.locator(f"#tabs > .tab-nav button:text-is('{LANGUAGES[opened.language][1]}')").click()
    tab.wait_for_selector("#lora_trainer .lt-head")


def open_project(opened: Window, name: str) -> None:
    opened.tab.locator(".lt-project").click()
    opened.tab.get_by_role("menuitemradio", name=re.compile(name)).click()
    expect(opened.tab.locator(".lt-project")).to_contain_text(name)


@pytest.fixture(params=[("light", 1400), ("dark", 1400), ("light", 400), ("dark", 400)], ids=lambda look: f"{look}")
def opened(
    browser: Browser, complete: WebUI, project: str, language: str, request: pytest.FixtureRequest
) -> Iterator[Window]:
    """Our tab in each theme and width."""
    with window(browser, complete, language, *request.param) as found:
        yield found


def test_every_step_in_both_themes_languages_and_widths(opened: Window, request: pytest.FixtureRequest) -> None:
    folder, tab = request.config.getoption("--shots", default=None), opened.tab
    look = f"{opened.language}-{opened.theme}-{opened.width}"
    _shoot(tab, folder, f"webui-0-empty-{look}")
    assert tab.locator("body").evaluate("node => node.classList.contains('dark')") == (opened.theme == "dark")
    open_project(opened, "ghosts")
    expect(tab.locator("[data-step=images] .lt-step-title")).to_have_text(
        translate("ui.shell.step_images", opened.language)
    )
    for number, step in enumerate(STEPS, 1):
        tab.locator(f"[data-step={step}]").click()
        tab.wait_for_selector(f".lt-step:not([hidden]) {MARKS[step]}")
        tab.wait_for_timeout(SETTLE_MS)
        _shoot(tab, folder, f"webui-{number}-{step}-{look}")
        assert bad_for_some(tab) == [], step
        ours = tab.locator("#lora_trainer")
        assert ours.evaluate("node => node.scrollWidth - node.clientWidth") <= OUTLINE, f"{step} is cut off"
        assert not re.findall(r"\b(?:ui|setting)\.[a-z]+\.\w+|\{\w+\}", ours.inner_text())
    assert opened.problems == []


def test_reload_ui_leaves_nothing_behind(browser: Browser, inside_module: WebUI, project: str) -> None:
    webui = inside_module
    speak(webui, "None")
    before, paths = webui.probe(COUNTED), _our_paths(webui)
    assert before["twice"] == [] and before["routes"] > 50 and paths
    with window(browser, webui, "en", "light", 1400) as opened:
        open_project(opened, "ghosts")
        for _ in range(2):
            reload_ui(webui)
            opened.tab.reload()
            opened.tab.wait_for_selector("#txt2img_generate", state="visible")
            open_tab(opened)
            expect(opened.tab.locator(".lt-project")).to_contain_text("ghosts")
        assert opened.tab.locator("#lora_trainer .lt-head").count() == 1
        assert opened.tab.locator("link[href*='/lora_trainer/v1/page/']").count() == 3
        opened.tab.locator("[data-step=results]").click()
        opened.tab.click("#lora_trainer_use")
        prompt = opened.tab.locator("#txt2img_prompt textarea")
        expect(prompt).to_have_value(re.compile("<lora:ghosts-00000"))
    assert webui.probe(COUNTED) == before
    assert _our_paths(webui) == paths


def _our_paths(webui: WebUI) -> list[Any]:
    return sorted(path for path in webui.call("/openapi.json")["paths"] if "/lora_trainer/" in path)


def _shoot(tab: Page, folder: Path | None, name: str) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=folder / f"{name}.png", full_page=True)
