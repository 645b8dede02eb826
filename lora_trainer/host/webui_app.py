"""What of us lives as long as the WebUI's process, and its callbacks: a run goes on while the page is built anew."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from modules import script_callbacks

from lora_trainer.host import compat
from lora_trainer.host.webui import WebUIHost
from lora_trainer.host.webui_model import checkpoint_title
from lora_trainer.language import translate

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

log = logging.getLogger(__name__)
NEEDED = ("diffusers", "peft")  # install.py adds them
NAME, ELEM_ID = "Train LoRA", "lora_trainer"


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


def register(ui: Callable[[], tuple[ModuleType, ModuleType]]) -> None:
    """Register our callbacks. ``ui`` brings the modules of the tab and of its routes when the WebUI is up."""

    def tabs() -> list[tuple[Any, str, str]]:
        tab, _ = ui()
        why = problem()
        if why:
            blocks = tab.build_missing(why, language=compat.localization)
        else:
            blocks = tab.build(paste=compat.connect_paste, language=compat.localization)
        return [(blocks, NAME, ELEM_ID)]

    def started(_: Any, app: Any) -> None:
        host().page_opens()
        if problem() is None:
            _, routes = ui()
            hooks = routes.Hooks(
                language=compat.localization, checkpoint=checkpoint_title, extras=compat.infotext_fields, host="webui"
            )
            routes.add_routes(app, worker(), hooks)

    script_callbacks.on_ui_tabs(tabs)
    script_callbacks.on_app_started(started)
    script_callbacks.on_script_unloaded(lambda: host().page_closes())
