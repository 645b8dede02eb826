"""The standalone page in a real browser, on a worker that only pretends: what a user sees and can press."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from lora_trainer.settings import Settings
from lora_trainer.ui.standalone import _listening, page
from tests.api.fake import FakeWorker

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SLOW_MS = 120_000  # the machine may be busy
Open = Callable[..., Page]

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=SLOW_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture()
def worker(home: Path) -> FakeWorker:
    return FakeWorker(home)


@pytest.fixture()
def address(worker: FakeWorker) -> Iterator[str]:
    with _listening(0) as listener:
        server = uvicorn.Server(uvicorn.Config(page(worker), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(10)


@pytest.fixture()
def opened(browser: Browser, address: str) -> Iterator[Open]:
    """``opened(width, locale)`` is the page in a window of its own; errors in its script fail the test."""
    contexts, problems = [], []

    def open_page(width: int = 1280, locale: str = "en-US") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 800}, locale=locale)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(SLOW_MS)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("dialog", lambda dialog: problems.append(dialog.message))
        tab.goto(address)
        tab.wait_for_selector("#lora_trainer_live", state="attached")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def start(tab: Page, **values: str) -> None:
    for name, value in {
        "images": "/somewhere",
        "trigger": "mychr",
        "name": "my_character",
        "epochs": "3",
        **values,
    }.items():
        tab.fill(f"#lora_trainer_{name} input", value)
    tab.click("#lora_trainer_start")


def headline(tab: Page, text: str) -> None:
    expect(tab.locator("#lora_trainer_headline")).to_have_text(text)


def test_a_run_from_the_form_to_the_choice(opened: Open, worker: FakeWorker) -> None:
    tab = opened()
    expect(tab.locator(".lt-empty")).to_be_visible()
    expect(tab.locator("#lora_trainer_stop_now")).to_be_hidden()
    start(tab)
    headline(tab, "Finished")
    assert worker.run is not None and worker.run.settings().training.epochs == 3
    expect(tab.locator("#lora_trainer_choice h4")).to_have_text("Suggested: epoch 3 at weight 0.8")
    expect(tab.locator("#lora_trainer_choice input")).to_have_value("<lora:my_character-000003:0.8> mychr")
    expect(tab.locator(".lt-strip img")).to_have_count(8)
    assert tab.locator(".lt-strip img").last.get_attribute("alt") == (
        "Epoch 3, prompt: mychr, hat, green meadow, standing on the left"
    )
    expect(tab.locator(".lt-chart svg[role=img]")).to_have_count(1)
    tab.wait_for_function("() => document.querySelector('.lt-sheet img').naturalWidth === 900")
    expect(tab.locator("#lora_trainer_live")).to_have_text("Finished")


def test_progress_stopping_and_coming_back(opened: Open, worker: FakeWorker, settings: Settings) -> None:
    worker.hold_at = 50
    worker.start(settings)
    tab = opened()
    headline(tab, "Training")
    bar = tab.locator("[role=progressbar]")
    expect(bar).to_have_attribute("aria-valuetext", "Training: Epoch 3 of 4, step 50 of 80, 62 %")
    expect(bar).to_have_attribute("aria-valuenow", "62")
    expect(tab.locator(".lt-eta")).to_have_text("less than a minute left")
    expect(tab.locator("#lora_trainer_start")).to_be_disabled()
    tab.reload()
    other = opened()
    for one in (tab, other):
        headline(one, "Training")
    tab.click("#lora_trainer_stop_now")
    for one in (tab, other):
        headline(one, "Stopped; finished epochs are kept")
    assert worker.commands.stopping_now
    expect(tab.locator("#lora_trainer_stop_now")).to_be_hidden()
    expect(tab.locator("#lora_trainer_start")).to_be_enabled()


def test_what_is_wrong_is_said_beside_the_form(opened: Open, worker: FakeWorker) -> None:
    tab = opened(locale="zh-CN")
    expect(tab.locator("#lora_trainer_start")).to_have_text("开始训练")
    expect(tab.locator("#lora_trainer_network_dim [data-testid=block-info]")).to_have_text("网络维度（Rank）")
    start(tab, images="")
    expect(tab.locator("[role=alert][data-field=images]")).to_contain_text("还没有设置图片文件夹")
    expect(tab.locator("#lora_trainer_images input")).to_have_attribute("aria-invalid", "true")
    fold = tab.locator("#lora_trainer_group_grid > .label-wrap")
    expect(fold).to_have_attribute("aria-expanded", "false")
    tab.locator("#lora_trainer_grid_weights textarea, #lora_trainer_grid_weights input").evaluate(
        "(box) => { box.value = 'much'; box.dispatchEvent(new Event('input')); }"
    )
    start(tab)
    expect(tab.locator("[role=alert][data-field=grid_weights]")).to_contain_text("much")
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(tab.locator("#lora_trainer_images input")).not_to_have_attribute("aria-invalid", "true")
    assert worker.run is None


def test_a_failure_is_text_that_can_be_copied(opened: Open, worker: FakeWorker, settings: Settings) -> None:
    worker.fail_at = 30
    worker.start(settings)
    tab = opened()
    headline(tab, "Failed")
    box = tab.locator("#lora_trainer_progress [role=alert]")
    expect(box).to_contain_text("Start again with a lower learning rate.")
    box.locator("summary").click()
    expect(box.locator("pre")).to_contain_text("<script>alert(1)</script>")
    box.locator("button").click()
    expect(box.locator("button")).to_have_text("Copied")


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_narrow_window_needs_no_scrolling_sideways(
    opened: Open, worker: FakeWorker, settings: Settings, locale: str
) -> None:
    worker.start(settings)
    worker.wait()
    tab = opened(width=360, locale=locale)
    tab.wait_for_selector(".lt-chart svg")
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= 360


def test_folds_open_by_key(opened: Open) -> None:
    tab = opened()
    fold = tab.locator("#lora_trainer_group_data > .label-wrap")
    fold.focus()
    tab.keyboard.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(tab.locator("#lora_trainer_validation_split")).to_be_visible()
