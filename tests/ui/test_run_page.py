"""The steps Train and Results in a real browser, on answers that are made up: what a user sees, presses and hears."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")

import uvicorn
from playwright.sync_api import Browser, Page, expect

from tests.ui.fake_run_server import FINISHED, Scene, app, made_grid

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
AXE = os.environ.get("LORA_TRAINER_AXE", "")
SLOW_MS = 120_000  # the machine may be busy
Open = Callable[..., Page]
RUNNING: dict[str, Any] = {"state": "running", "step": 250}

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]


@pytest.fixture()
def scene() -> Scene:
    return Scene()


@pytest.fixture()
def address(scene: Scene) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app(scene), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(10)


@pytest.fixture()
def opened(browser: Browser, address: str) -> Iterator[Open]:
    """``opened(step, width, locale, theme)`` is the page in its own window; errors in its scripts fail the test."""
    contexts, problems = [], []

    def open_page(step: str = "train", width: int = 1280, locale: str = "en-US", theme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, locale=locale, color_scheme="dark" if theme == "dark" else "light"
        )
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(SLOW_MS)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("dialog", lambda dialog: problems.append(dialog.message))
        tab.goto(f"{address}#lt/p1/{step}")
        tab.wait_for_selector(".lt-step:not([hidden])")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def ordered(scene: Scene, path: str) -> Any:
    """The body of the last order to a path, once it has come."""
    for _ in range(600):
        found = [body for _, where, body in scene.orders if where == path]
        if found:
            return found[-1]
        time.sleep(0.1)
    raise AssertionError(f"{path} was not ordered: {scene.orders}")


def test_a_setting_is_changed_refused_found_and_reset(opened: Open, scene: Scene) -> None:
    tab = opened()
    expect(tab.locator(".lt-basics .lt-field")).to_have_count(6)
    expect(tab.locator(".lt-plan-sentence")).to_contain_text("= 960 steps")
    tab.fill("[name=epochs]", "12")
    tab.press("[name=epochs]", "Tab")
    expect(tab.locator(".lt-plan-sentence")).to_contain_text("× 12 epochs")
    assert scene.settings == {"epochs": 12}
    scene.refused["batch_size"] = "So many do not fit."
    tab.fill("[name=batch_size]", "64")
    tab.press("[name=batch_size]", "Tab")
    expect(tab.locator("[data-field=batch_size] .lt-field-error")).to_have_text("So many do not fit.")
    tab.click("#lora_trainer_start")
    expect(tab.locator("[name=batch_size]")).to_be_focused()
    assert not [path for _, path, _ in scene.orders if path.endswith("/start")]
    tab.fill(".lt-search", "min_snr_gamma")
    expect(tab.locator("[name=min_snr_gamma]")).to_be_visible()
    expect(tab.locator("[name=noise_offset]")).to_be_hidden()
    tab.fill(".lt-search", "polynomial")
    expect(tab.locator(".lt-rest [role=status]")).to_contain_text("mean nothing with the other settings")
    tab.fill(".lt-search", "")
    tab.click(".lt-tools button")
    expect(tab.locator("[name=epochs]")).to_have_value("10")
    assert scene.settings == {}


def test_a_run_from_start_to_its_end_with_every_order(opened: Open, scene: Scene) -> None:
    tab = opened()
    tab.click("#lora_trainer_start")
    expect(tab.locator(".lt-headline strong")).to_have_text("Loading the model")
    assert ordered(scene, "projects/p1/start") == {"queue": False}
    scene.run = RUNNING
    bar = tab.locator("[role=progressbar]").first
    expect(bar).to_have_attribute("aria-valuenow", "52")
    expect(bar).to_have_attribute("aria-valuetext", "Training: Epoch 5 of 8, step 250 of 480, 52 %")
    expect(tab.locator("#lora_trainer_live")).to_have_text("Training: Epoch 5 of 8, step 250 of 480, about 19 min left")
    expect(tab.locator(".lt-shot")).to_have_count(20)
    expect(tab.locator(".lt-chart svg[role=img]")).to_have_count(1)
    for name, path, body in (
        ("Sample now", "sample", {}),
        ("Pause", "stop", {"when": "pause"}),
        ("Stop after this epoch", "stop", {"when": "after_epoch"}),
        ("Stop now", "stop", {"when": "now"}),
    ):
        scene.orders.clear()
        tab.get_by_role("button", name=name, exact=True).click()
        assert ordered(scene, f"runs/run-1/{path}") == body
    scene.run = {**RUNNING, "stopping": "now"}
    expect(tab.locator(".lt-run .lt-note")).to_contain_text("Stopping after the step at hand")
    scene.run = {"state": "paused", "step": 250}
    tab.get_by_role("button", name="Continue", exact=True).click()
    ordered(scene, "runs/run-1/continue")
    scene.run, scene.grid = FINISHED, made_grid()
    expect(tab.locator(".lt-headline strong")).to_have_text("Finished")
    expect(tab.locator("[data-step=results] .lt-step-summary")).to_have_text("epoch 5, weight 0.8")
    tab.get_by_role("button", name="See the results").click()
    expect(tab.locator("td.lt-best")).to_contain_text("Suggested")


def test_settings_are_locked_while_the_run_goes_on_and_the_next_can_be_queued(opened: Open, scene: Scene) -> None:
    scene.run = RUNNING
    tab = opened()
    tab.get_by_text("Settings", exact=True).click()
    expect(tab.locator("[name=epochs]")).to_be_disabled()
    tab.get_by_role("button", name="Prepare the next run").click()
    expect(tab.locator("[name=epochs]")).to_be_enabled()
    expect(tab.locator("#lora_trainer_start")).to_have_text("Add to queue")
    tab.click("#lora_trainer_start")
    assert ordered(scene, "projects/p1/start") == {"queue": True}


def test_the_queue_is_moved_swept_and_emptied(opened: Open, scene: Scene) -> None:
    scene.queue = [
        {"id": name, "project": "p1", "name": name, "changed": {"unet_lr": 1e-4}, "state": "waiting", "message": ""}
        for name in ("first", "second")
    ]
    tab = opened()
    rows = tab.locator(".lt-queue li")
    expect(rows.first).to_contain_text("Learning rate: 0.0001")
    tab.get_by_role("button", name="Move “first” down from place 1").press("Enter")
    expect(rows.first).to_contain_text("second")
    assert ordered(scene, "queue/first/move") == {"to": 1}
    tab.get_by_role("button", name="Remove “first” from the queue").press("Enter")
    expect(rows).to_have_count(1)
    tab.get_by_role("button", name="Try several values…").click()
    tab.fill("dialog input", "1e-4, 0.0002, much")
    tab.get_by_role("button", name="Add these runs").click()
    assert ordered(scene, "queue") == {
        "project": "p1",
        "sweep": {"field": "unet_lr", "values": [0.0001, 0.0002, "much"]},
    }


def test_presets_are_saved_and_other_settings_taken_over(opened: Open, scene: Scene) -> None:
    tab = opened()
    tab.select_option(".lt-presets select", "own-1")
    assert ordered(scene, "projects/p1") == {"preset": "own-1"}
    tab.get_by_role("button", name="More").click()
    tab.get_by_role("menuitem", name="Save as preset…").click()
    tab.fill("dialog input", "Mine")
    tab.get_by_role("button", name="Save the preset").click()
    saved = ordered(scene, "presets")
    assert saved["name"] == "Mine" and saved["settings"]["resolution"] == 768
    assert "trigger" not in saved["settings"]
    tab.wait_for_selector("dialog", state="detached")
    tab.get_by_role("button", name="More").click()
    tab.get_by_role("menuitem", name="Import settings…").click()
    tab.fill("dialog textarea", "network_dim = 32")
    tab.get_by_role("button", name="Read it").click()
    expect(tab.locator("dialog")).to_contain_text("Detail capacity: 32")
    expect(tab.locator("dialog")).to_contain_text("xformers")
    tab.get_by_role("button", name="Take these settings").click()
    expect(tab.locator("[name=network_dim]")).to_have_value("32")
    assert scene.settings == {"network_dim": 32}


def test_previews_are_walked_through_with_the_arrow_keys(opened: Open, scene: Scene) -> None:
    scene.run = RUNNING
    tab = opened()
    tab.locator(".lt-shot").nth(1).press("Enter")
    words = tab.locator(".lt-viewer-text")
    expect(words).to_have_text("Epoch 1 mychr, portrait")
    tab.keyboard.press("ArrowDown")
    expect(words).to_have_text("Epoch 2 mychr, portrait")
    tab.keyboard.press("ArrowRight")
    expect(words).to_have_text("Epoch 2 mychr, hat, green meadow, standing on the left")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowUp")
    expect(words).to_have_text("Untrained mychr, portrait")
    tab.keyboard.press("Escape")
    expect(tab.locator(".lt-shot").nth(1)).to_be_focused()


def test_the_grid_by_keyboard_alone(opened: Open, scene: Scene) -> None:
    scene.run, scene.grid = FINISHED, made_grid()
    tab = opened("results")
    grid = tab.get_by_role("grid")
    expect(grid.locator("[tabindex='0']")).to_have_count(1)
    grid.locator("[tabindex='0']").focus()
    expect(tab.locator("td.lt-best")).to_be_focused()
    tab.keyboard.press("ArrowDown")
    expect(tab.locator(":focus img")).to_have_attribute(
        "alt", "epoch 6, weight 0.8, prompt mychr, portrait, learnt 12.2 %"
    )
    expect(tab.locator(".lt-selected h4")).to_have_text("Epoch 6, weight 0.8")
    tab.keyboard.press("u")
    assert ordered(scene, "runs/run-1/use") == {"epoch": 6, "weight": 0.8}
    expect(tab.locator(".lt-aside .lt-notice-done")).to_contain_text("Epoch 6 at weight 0.8 is ready")
    tab.keyboard.press("c")
    expect(tab.locator(".lt-results > .lt-note")).to_contain_text("Held: epoch 6, weight 0.8.")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("c")
    sides = tab.locator("dialog select")
    expect(sides.first).to_have_value("6 0.8")
    expect(sides.last).to_have_value("6 1")
    tab.keyboard.press("Escape")
    tab.wait_for_selector("dialog", state="detached")
    expect(tab.locator("td.lt-next")).to_be_focused()
    tab.keyboard.press("Home")
    expect(tab.locator(":focus img")).to_have_attribute("alt", "no LoRA, prompt mychr, portrait")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    expect(tab.locator(".lt-viewer-text strong")).to_have_text("epoch 6, weight 0.6")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Escape")
    expect(tab.locator(":focus img")).to_have_attribute(
        "alt", "epoch 5, weight 0.6, prompt mychr, portrait, learnt 14.2 %"
    )


def test_files_are_kept_after_a_question_and_train_further_opens_a_project(opened: Open, scene: Scene) -> None:
    scene.run, scene.grid = FINISHED, made_grid()
    tab = opened("results")
    tab.get_by_text("Files of this run").click()
    tab.get_by_role("button", name="Keep chosen only…").click()
    expect(tab.locator("dialog")).to_contain_text("Files that go to the trash folder: 7 (133 MB).")
    tab.get_by_role("button", name="Move 7 files").click()
    assert ordered(scene, "runs/run-1/keep") == {"epochs": [5]}
    expect(tab.locator(".lt-notice-done")).to_contain_text("7 files, 133 MB")
    tab.get_by_role("button", name="Train further").click()
    assert ordered(scene, "runs/run-1/further") == {"epoch": 5}
    expect(tab.locator("[data-step=train]")).to_have_attribute("aria-current", "step")


WEBUI = """() => {
    const place = (id, text) => {
        const box = Object.assign(document.createElement("textarea"), {value: text});
        const room = Object.assign(document.createElement("div"), {id});
        room.append(box);
        document.body.append(room);
    };
    place("txt2img_prompt", "a cat, <lora:miku_v1-000002:1>");
    place("lora_trainer_infotext", "");
    const send = Object.assign(document.createElement("button"), {id: "lora_trainer_send_xyz"});
    send.onclick = () => { send.dataset.sent = document.querySelector("#lora_trainer_infotext textarea").value; };
    document.body.append(send);
}"""


def test_in_the_webui_the_prompt_and_the_plot_are_filled(opened: Open, scene: Scene) -> None:
    tab = opened("results")
    tab.evaluate(WEBUI)
    scene.run, scene.grid = FINISHED, made_grid()
    tab.click("#lora_trainer_use")
    prompt = tab.locator("#txt2img_prompt textarea")
    expect(prompt).to_have_value("a cat, <lora:miku_v1-000005:0.8>")
    tab.get_by_role("button", name="Try in txt2img").click()
    expect(prompt).to_have_value("mychr, portrait, <lora:miku_v1-000005:0.8>")
    tab.click("#lora_trainer_to_xyz")
    expect(tab.locator("#lora_trainer_send_xyz")).to_have_attribute("data-sent", re.compile("NUM:STRENGTH"))


def test_a_failure_is_told_and_its_detail_is_text(opened: Open, scene: Scene) -> None:
    text = "Training broke down: the loss is no longer a number. Start again with a lower learning rate."
    scene.run = RUNNING
    tab = opened()
    expect(tab.locator(".lt-headline strong")).to_have_text("Training")
    scene.run = {"state": "failed", "step": 250, "message": text, "detail": "<script>alert(1)</script>"}
    expect(tab.locator(".lt-notice-problem")).to_contain_text(text)
    expect(tab.locator("#lora_trainer_alert")).to_have_text(text)
    tab.locator(".lt-notice-problem summary").click()
    expect(tab.locator(".lt-notice-problem pre")).to_have_text("<script>alert(1)</script>")
    tab.get_by_role("button", name="Copy the details").click()
    expect(tab.locator(".lt-notice-problem button")).to_have_text("Copied")


def test_a_second_window_and_a_lost_server(opened: Open, scene: Scene) -> None:
    scene.run = RUNNING
    tabs = [opened(), opened(locale="zh-CN")]
    for tab, words in zip(tabs, ("Training", "正在训练"), strict=True):
        expect(tab.locator(".lt-headline strong")).to_have_text(words)
    scene.down = True
    expect(tabs[0].locator(".lt-step:not([hidden]) > .lt-note")).to_contain_text("The connection was lost")
    scene.down, scene.run = False, {"state": "interrupted", "step": 250}
    expect(tabs[0].locator(".lt-headline strong")).to_contain_text("Broken off")
    tabs[0].reload()
    expect(tabs[0].locator(".lt-headline strong")).to_contain_text("Broken off")


STATES: dict[str, tuple[str, dict[str, Any]]] = {
    "plan": (
        "train",
        {"settings": {"network_dim": 64}, "plan": {"unusual": [{"field": "network_dim", "text": "Much."}]}},
    ),
    "problem": ("train", {"plan": {"problems": [{"field": "images", "message": "There are no images yet."}]}}),
    "running": ("train", {"run": {**RUNNING, "alarm": {"text": "Held-out loss rises."}}}),
    "failed": ("train", {"run": {"state": "failed", "step": 250, "message": "It broke.", "detail": "Traceback"}}),
    "finished": ("results", {"run": FINISHED, "grid": made_grid()}),
    "nothing": ("results", {}),
}


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("state", STATES)
def test_a_narrow_window_needs_no_scrolling_sideways(opened: Open, scene: Scene, state: str, locale: str) -> None:
    step, values = STATES[state]
    for name, value in values.items():
        setattr(scene, name, value)
    tab = opened(step, width=360, locale=locale)
    shown(tab, state)
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= 360


@pytest.mark.skipif(not AXE, reason="LORA_TRAINER_AXE names no axe.min.js")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(opened: Open, scene: Scene, state: str, theme: str) -> None:
    step, values = STATES[state]
    for name, value in values.items():
        setattr(scene, name, value)
    tab = opened(step, theme=theme)
    shown(tab, state)
    for fold in tab.locator(".lt-step:not([hidden]) details:not([open]) > summary").all():
        if fold.is_visible():
            fold.click()
    assert violations(tab) == []
    if state == "finished":
        tab.locator("td.lt-best").click()
        tab.wait_for_selector("dialog")
        assert violations(tab) == []
        tab.get_by_role("button", name="Compare", exact=True).click()
        tab.wait_for_selector(".lt-compare")
        assert violations(tab) == []


def shown(tab: Page, state: str) -> None:
    """Wait until the state is on the page."""
    marks = {
        "running": ".lt-chart svg",
        "failed": ".lt-notice-problem",
        "finished": "td.lt-best",
        "nothing": ".lt-empty p",
    }
    tab.wait_for_selector(marks.get(state, ".lt-plan-facts div"))


def violations(tab: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    tab.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = tab.evaluate("() => axe.run('#lora_trainer')")["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
