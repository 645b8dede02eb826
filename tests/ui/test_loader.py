"""``javascript/lora_trainer.js`` in a browser: it loads nothing before the tab is looked at, waits for the routes, and
says so in both languages when nobody answers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from playwright.sync_api import Page, expect, sync_playwright

from lora_trainer.ui.standalone import _listening

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SCRIPT = Path(__file__).resolve().parents[2] / "javascript" / "lora_trainer.js"
PAGE = """<!DOCTYPE html><div id="tab" hidden><div id="lora_trainer"><p>loading</p></div></div>
<script>const loaded = []; window.onUiLoaded = (call) => loaded.push(call);</script>
<script src="loader.js"></script><script>setTimeout(() => loaded.forEach((call) => call()))</script>"""
MAIN = (
    "document.getElementById('lora_trainer').replaceChildren('the page, version ' + import.meta.url.split('/').at(-2));"
)

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]


class Server:
    """A WebUI of paper, below a path of its own; its routes answer with ``code``."""

    def __init__(self) -> None:
        self.code, self.asked = 200, 0

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/sub/")
        def index() -> HTMLResponse:
            return HTMLResponse(PAGE)

        @app.get("/sub/loader.js")
        def loader() -> Response:
            return Response(SCRIPT.read_bytes(), media_type="text/javascript")

        @app.get("/sub/lora_trainer/v1/about")
        def about() -> Response:
            self.asked += 1
            return Response('{"page": "abc"}', self.code, media_type="application/json")

        @app.get("/sub/lora_trainer/v1/page/abc/main.mjs")
        def main() -> Response:
            return Response(MAIN, media_type="text/javascript")

        return app


@pytest.fixture()
def server() -> Server:
    return Server()


@pytest.fixture()
def page(server: Server) -> Iterator[Page]:
    with _listening(0) as listener, sync_playwright() as playwright:
        run = uvicorn.Server(uvicorn.Config(server.app(), log_level="error"))
        thread = threading.Thread(target=run.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not run.started:
            time.sleep(0.05)
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page()
        opened.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/sub/")
        yield opened
        browser.close()
        run.should_exit = True
        thread.join(10)


def look(page: Page) -> None:
    page.evaluate("document.getElementById('tab').hidden = false")


def test_nothing_is_asked_before_the_tab_is_looked_at(page: Page, server: Server) -> None:
    page.wait_for_timeout(1000)
    assert server.asked == 0
    look(page)
    expect(page.locator("#lora_trainer")).to_have_text("the page, version abc", timeout=60_000)


def test_it_waits_for_the_routes_and_says_so(page: Page, server: Server) -> None:
    server.code = 404
    look(page)
    lost = page.locator("#lora_trainer[role=alert]")
    expect(lost).to_contain_text("does not answer", timeout=120_000)
    expect(lost.locator("[lang=zh-Hans]")).to_contain_text("没有响应")
    server.code = 200
    expect(page.locator("#lora_trainer")).to_have_text("the page, version abc", timeout=60_000)
    expect(lost).to_have_count(0)


def test_a_stranger_is_told_to_log_in(page: Page, server: Server) -> None:
    server.code = 401
    look(page)
    expect(page.locator("#lora_trainer[role=alert]")).to_contain_text("刷新页面", timeout=60_000)
