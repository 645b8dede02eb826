"""Our own page on this computer: the tab without a WebUI around it (D11)."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import webbrowser
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from lora_trainer.errors import UserError
from lora_trainer.api import PREFIX, Hooks, add_routes
from lora_trainer.ui.tab import build

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]
SCRIPT, STYLE = ROOT / "javascript" / "lora_trainer.js", ROOT / "style.css"
FONTS = ("system-ui", "Noto Sans CJK SC", "Microsoft YaHei", "sans-serif")  # gradio's own come from the net
# gradio's page wants fonts and a script from other sites; nothing leaves this computer. Its events need eval.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; frame-ancestors 'none'"
)
MONO = ("ui-monospace", "Consolas", "monospace")
LOAD_SCRIPT = (
    "() => { const script = document.createElement('script'); "
    f"script.src = '.{PREFIX}/script.js'; document.head.append(script); }}"
)


def serve(worker: Worker, port: int = 7861, open_browser: bool = True) -> None:
    """Serve the page on the loopback address until interrupted. Raises ``UserError`` when the port is taken."""
    with _listening(port) as listener:
        server = uvicorn.Server(uvicorn.Config(page(worker), log_level="warning"))
        address = f"http://{LOOPBACK}:{listener.getsockname()[1]}/"
        log.warning("LoRA Trainer: %s", address)
        if open_browser:
            threading.Thread(target=_open_when_up, args=(server, address), daemon=True).start()
        server.run(sockets=[listener])


def page(worker: Worker) -> FastAPI:
    """The page and all routes as one application."""
    tab, css = build(worker), STYLE.read_text(encoding="utf-8") + "footer { display: none !important; }"
    with gr.Blocks(title="LoRA Trainer", css=css, theme=_theme(), analytics_enabled=False) as blocks:
        tab.render()
        blocks.load(None, None, None, _js=LOAD_SCRIPT)
    app: FastAPI = gr.routes.App.create_app(blocks)
    app.cwd = str(SCRIPT.parent)  # type: ignore[attr-defined]  # gradio hands out every file below it
    # gradio lets scripts of every site read and order; and a foreign name may lead here (DNS rebinding).
    app.user_middleware = [entry for entry in app.user_middleware if entry.cls.__name__ != "CORSMiddleware"]
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])
    app.middleware("http")(_guarded)
    add_routes(app, worker, Hooks(checkpoint=lambda: worker.host.checkpoint().title))

    @app.get(f"{PREFIX}/script.js")
    def script() -> FileResponse:
        return FileResponse(SCRIPT, media_type="text/javascript")

    return app


def _theme() -> gr.themes.Base:
    """Gradio's own look with system fonts, and buttons whose text can be read."""
    theme = gr.themes.Default(primary_hue="indigo", neutral_hue="slate", font=FONTS, font_mono=MONO)
    return theme.set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )


async def _guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Keep the page from asking other sites for anything, and from being shown inside one."""
    response = await call_next(request)
    response.headers.setdefault("Content-Security-Policy", POLICY)
    return response


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
