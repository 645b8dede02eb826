"""What of us lives as long as the WebUI's process, and its callbacks: a run goes on while the page is built anew."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from modules import script_callbacks

from lora_trainer.host import compat
from lora_trainer.host.webui import WebUIHost
from lora_trainer.language import translate

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

log = logging.getLogger(__name__)
NEEDED = ("diffusers", "peft")  # install.py adds them


@cache
def host() -> WebUIHost:
    """The one host."""
    return WebUIHost()


@cache
def worker() -> Worker:
    """The one worker. Raises ``ImportError`` when a package is missing."""
    from lora_trainer.host.worker import Worker

    return Worker(host())


def problem() -> str | None:
    """Why the trainer cannot work here, in the WebUI's language; None when it can."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return translate("webui.missing", compat.language(), names=", ".join(missing))
    try:
        worker()
    except Exception as error:  # a package may fail in any way
        log.exception("LoRA Trainer cannot start")
        return translate("webui.broken", compat.language(), reason=f"{type(error).__name__}: {error}")
    return None


def register(
    build: Callable[[Worker], Any], build_missing: Callable[[str], Any], add_routes: Callable[[Any, Worker], None]
) -> None:
    """Have the WebUI show what ``build`` makes, or what ``build_missing`` makes of the reason, and serve our routes."""

    def tabs() -> list[tuple[Any, str, str]]:
        why = problem()
        return [(build_missing(why) if why else build(worker()), "LoRA Trainer", "lora_trainer")]

    def started(demo: Any, app: Any) -> None:
        if problem() is None:
            add_routes(app, worker())

    script_callbacks.on_ui_tabs(tabs)
    script_callbacks.on_app_started(started)
    script_callbacks.on_script_unloaded(lambda: host().page_reloads())
