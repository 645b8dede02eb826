"""Our own page on this computer: the same as the WebUI's tab, without a WebUI around it (D11)."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lora_trainer.api import Hooks, add_routes
from lora_trainer.api.edge import ASK_AGAIN
from lora_trainer.api.page import page_version
from lora_trainer.errors import UserError

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
HTML = Path(__file__).with_name("standalone.html")
# Nothing leaves this computer, no script but ours runs, and no other page shows ours inside itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def serve(worker: Worker, port: int = 7861, open_browser: bool = True) -> None:
    """Serve the page on the loopback address until interrupted. Raises ``UserError`` when the port is taken."""
    with _listening(port) as listener:
        server = uvicorn.Server(uvicorn.Config(page(worker), log_level="warning", timeout_graceful_shutdown=1))
        address = f"http://{LOOPBACK}:{listener.getsockname()[1]}/"
        log.warning("LoRA Trainer: %s", address)
        if open_browser:
            threading.Thread(target=_open_when_up, args=(server, address), daemon=True).start()
        server.run(sockets=[listener])


def page(worker: Worker) -> FastAPI:
    """The page and all routes as one application."""
    app = FastAPI(title="LoRA Trainer", docs_url=None, redoc_url=None)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    # A name of another site may lead here (DNS rebinding).
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])
    app.add_middleware(Guard)
    add_routes(app, worker, _hooks(worker))

    @app.get("/", include_in_schema=False)
    def index() -> HTMLResponse:
        html = HTML.read_text(encoding="utf-8").replace("{version}", page_version())
        return HTMLResponse(html, headers={"Cache-Control": ASK_AGAIN})

    return app


def _hooks(worker: Worker) -> Hooks:
    def family() -> str:
        from lora_trainer.checkpoint.family import family_of  # brings PyTorch

        return family_of(worker.host.checkpoint()).name

    return Hooks(checkpoint=lambda: worker.host.checkpoint().title, family=family)


class Guard:
    """Keeps the page from asking other sites for anything, and from being shown inside one.

    It only adds a header to what is sent: Starlette's own kind of middleware would pass every event of a stream from
    task to task, and complain when the server ends with one open.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Content-Security-Policy", POLICY)
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let two programs share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as error:
        listener.close()
        raise UserError("port_taken", port=port, reason=error.strerror or error) from error
    return listener


def _open_when_up(server: uvicorn.Server, address: str) -> None:
    while not server.started:
        time.sleep(0.1)
    webbrowser.open(address)
