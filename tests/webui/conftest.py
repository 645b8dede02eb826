"""``--webui FOLDER_OR_ADDRESS``: without it, the tests that need a WebUI are skipped."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.webui.driver import Start, WebUI, furnish, launch

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PATIENCE_MS = 300_000
OURS_ONLY = re.compile(r"^https?://(?!127\.0\.0\.1|localhost)")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--webui", help="folder of a WebUI to start, or address of one that runs with --api")
    parser.addoption("--webui-python", default=sys.executable, help="the Python that starts it")
    parser.addoption("--webui-args", default="--use-cpu all --no-half", help="its arguments")
    parser.addoption("--webui-checkpoint", type=Path, help="a checkpoint instead of Sprites, its yaml beside it")
    parser.addoption("--webui-without", default="", help="packages that it must not find: diffusers,peft")
    parser.addoption("--shots", type=Path, help="folder for screenshots")


@pytest.fixture(scope="session")
def webui(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    """A running WebUI with our extension in it."""
    wanted = request.config.getoption("--webui", default=None)
    if not wanted:
        pytest.skip("no --webui is given")
    if wanted.startswith("http"):
        yield WebUI(wanted.rstrip("/"))
        return
    data, folder = tmp_path_factory.mktemp("webui"), Path(wanted).resolve()
    furnish(data, folder, request.config.getoption("--webui-checkpoint"))
    options = [request.config.getoption(f"--webui-{name}") for name in ("python", "args", "without")]
    started, process = launch(Start(folder, *options), data)
    yield started
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="session")
def complete(webui: WebUI, request: pytest.FixtureRequest) -> WebUI:
    """A WebUI that has the packages we need."""
    if request.config.getoption("--webui-without"):
        pytest.skip("packages are missing")
    return webui


@pytest.fixture()
def inside(complete: WebUI) -> WebUI:
    """A WebUI that the tests started, so that they can look inside."""
    if complete.data is None:
        pytest.skip("only in a WebUI that the tests start")
    return complete


@pytest.fixture(scope="session")
def page(webui: WebUI) -> Iterator[Page]:
    """The WebUI's page in a browser."""
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1400, "height": 1300}, locale="en-GB")
        opened.set_default_timeout(PATIENCE_MS)
        opened.route(OURS_ONLY, lambda route: route.abort())  # the page would wait for fonts from outside
        opened.goto(webui.address, wait_until="domcontentloaded")
        opened.wait_for_selector("#txt2img_generate", state="visible")
        opened.wait_for_function("() => typeof opts === 'object' && Object.keys(opts).length > 50")
        yield opened
        browser.close()


@pytest.fixture()
def shoot(page: Page, request: pytest.FixtureRequest) -> Iterator[None]:
    """A screenshot when the test is over, if a folder for them was named."""
    yield
    folder = request.config.getoption("--shots", default=None)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{request.node.name}.png", full_page=True)
