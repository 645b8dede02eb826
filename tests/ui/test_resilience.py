"""What a kill in mid-run leaves: of the browser, of the server, and what the page then shows and can do."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Page, Playwright, expect, sync_playwright

from lora_trainer.language import translate
from tests.ui.pages import CHROMIUM, SLOW_MS, launch, look_at, shown
from tests.ui.real_server import PATIENCE_S, Server

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]

ENDLESS = {"repeats": 200}  # it is stopped before its end
PER_EPOCH = 18
THREE_EPOCHS = {"epochs": 3, "repeats": 2, "grid_epochs": 3}  # of 18 steps each, so that there is a middle


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=SLOW_MS)
    with sync_playwright() as started:
        yield started


@pytest.fixture()
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


@contextmanager
def own_browser(playwright: Playwright, profile: Path, address: str) -> Iterator[tuple[Page, subprocess.Popen[bytes]]]:
    """A browser with a profile on the disk, in a process that can be killed."""
    port = profile / "DevToolsActivePort"
    port.unlink(missing_ok=True)
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={profile}", "--lang=en-US", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + PATIENCE_S
    while not (port.is_file() and port.read_text().count("\n") and time.monotonic() < end):
        time.sleep(0.1)
    browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port.read_text().splitlines()[0]}")
    (tab,) = browser.contexts[0].pages
    tab.set_default_timeout(SLOW_MS)
    tab.wait_for_selector("#lora_trainer_live", state="attached")
    try:
        yield tab, process
    finally:
        process.kill()
        process.wait(30)


def test_the_browser_is_killed_in_mid_run(playwright: Playwright, server: Server, tmp_path: Path) -> None:
    server.project("ghost_one", **ENDLESS)
    profile = tmp_path / "profile"
    with own_browser(playwright, profile, server.address) as (tab, process):
        tab.locator(".lt-project").click()
        tab.get_by_role("menuitemradio", name=re.compile("ghost_one")).click()
        tab.locator("[data-step=train]").click()
        tab.click("#lora_trainer_start")
        expect(tab.locator(".lt-fact-position")).to_contain_text(re.compile("step [1-9]"))
        process.kill()
        process.wait(30)
    step = server.until(lambda status: status["step"] >= 5)["step"]
    with own_browser(playwright, profile, server.address) as (tab, _):
        expect(tab.locator(".lt-project")).to_contain_text("ghost_one")
        expect(tab.locator("[data-step=train] .lt-step-summary")).to_contain_text("training")
        tab.locator("[data-step=train]").click()
        expect(tab.locator(".lt-run")).to_have_attribute("data-state", "running")
        expect(tab.get_by_role("button", name="Stop now")).to_be_visible()
        assert int(re.findall(r"step (\d+)", tab.locator(".lt-fact-position").inner_text())[0]) >= step
        tab.get_by_role("button", name="Stop now").click()
        expect(tab.locator(".lt-run")).to_have_attribute("data-state", "stopped")


def test_a_second_device_comes_to_the_run_that_goes_on(playwright: Playwright, server: Server) -> None:
    project = server.project("ghost_two", **ENDLESS)
    server.call(f"projects/{project}/start", {"queue": False})
    browser = launch(playwright)
    try:
        with shown(browser, server.address) as tab:
            expect(tab.locator(".lt-project")).to_contain_text("ghost_two")
            expect(tab.locator(".lt-run")).to_have_attribute("data-state", "running")
            look_at(tab, "second-device")
    finally:
        browser.close()


def test_the_server_is_killed_in_mid_run(playwright: Playwright, server: Server) -> None:
    """The page says that the connection is lost, then what was broken off and what to do; the queue goes on by itself;
    *Continue* goes on from the saved state, not from the beginning."""
    first, second = server.project("ghost_one", **THREE_EPOCHS), server.project("ghost_two")
    run = server.call(f"projects/{first}/start", {"queue": False})["run"]
    server.call(f"projects/{second}/start", {"queue": True})
    browser = launch(playwright)
    try:
        with shown(browser, f"{server.address}#lt/{first}/train") as tab:
            expect(tab.locator(".lt-queue li")).to_contain_text("ghost_two")
            server.until(lambda status: status["step"] > PER_EPOCH + 2, run)
            server.kill()
            expect(tab.locator(".lt-step:not([hidden]) > .lt-note")).to_contain_text(translate("ui.train.lost"))
            look_at(tab, "server-lost")
            server.start()
            _is_broken_off(tab)
            look_at(tab, "server-back")
            _goes_on(tab, server, first, second, run)
    finally:
        browser.close()


def _is_broken_off(tab: Page) -> None:
    expect(tab.locator(".lt-run")).to_have_attribute("data-state", "interrupted")
    expect(tab.locator(".lt-headline strong")).to_contain_text("Broken off")
    expect(tab.locator(".lt-run .lt-notice-warning")).to_have_text(re.compile("continue from the last one"))
    expect(tab.locator("[data-step=train] .lt-step-summary")).to_have_text("broken off")


def _goes_on(tab: Page, server: Server, first: str, second: str, run: str) -> None:
    """The one that waited has its turn, then the broken one goes on where its state was saved."""
    (waited,) = _runs_of(server, second)
    assert server.until(lambda status: status["state"] != "running", waited)["state"] == "finished"
    assert server.call("queue")["entries"] == []
    (kept,) = (server.home / "loras").glob("ghost_one-000001.safetensors")
    saved = kept.stat().st_mtime_ns
    tab.get_by_role("button", name="Continue", exact=True).click()
    expect(tab.locator(".lt-run")).to_have_attribute("data-state", re.compile("running|finished"))
    server.until(lambda status: status["state"] in ("finished", "failed"), run)
    expect(tab.locator(".lt-run")).to_have_attribute("data-state", "finished")
    assert kept.stat().st_mtime_ns == saved, "the first epoch was trained again"
    steps = [event["step"] for event in _events(server, run) if event["kind"] == "stepped"]
    again = next(at for at in range(1, len(steps)) if steps[at] <= steps[at - 1])
    assert steps[again] == PER_EPOCH + 1 and steps[-1] == 3 * PER_EPOCH
    assert [file["epoch"] for file in server.status(run)["files"]] == [1, 2, 3]
    tab.get_by_role("button", name="See the results").click()
    expect(tab.locator("td.lt-best img")).to_be_visible()
    assert _runs_of(server, first) == [run]


def _runs_of(server: Server, project: str) -> list[str]:
    end = time.monotonic() + PATIENCE_S
    while not (found := list(server.call(f"projects/{project}")["runs"])) and time.monotonic() < end:
        time.sleep(0.2)
    return found


def _events(server: Server, run: str) -> list[dict[str, object]]:
    return list(server.call(f"runs/{run}/events?limit=10000")["events"])
