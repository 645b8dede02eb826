"""What of us lives as long as the WebUI's process, and its callbacks: a run goes on while the page is built anew."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from modules import script_callbacks

from lora_trainer.host import compat, webui_options
from lora_trainer.host.webui import WebUIHost
from lora_trainer.host.webui_model import checkpoint_family, checkpoint_title
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


def hooks(kind: type[Any]) -> Any:
    """What the WebUI adds to our routes. Equal as long as its flags are, so that *Reload UI* leaves our services be."""
    return kind(
        language=webui_options.language,
        checkpoint=checkpoint_title,
        family=checkpoint_family,
        extras=compat.infotext_fields,
        password=compat.is_api_user if compat.has_api_password() else None,
        sources=webui_options.tagger_sources,
        listening=compat.listens(),
        login=compat.has_login(),
        closing=compat.page_closes,
        host="webui",
    )


def register(ui: Callable[[], tuple[ModuleType, ModuleType]]) -> None:
    """Register our callbacks. ``ui`` brings the modules of the tab and of its routes when the WebUI is up."""

    def tabs() -> list[tuple[Any, str, str]]:
        tab, _ = ui()
        why = problem()
        if why:
            blocks = tab.build_missing(why, language=webui_options.language)
        else:
            blocks = tab.build(paste=compat.connect_paste, language=webui_options.language)
        return [(blocks, NAME, ELEM_ID)]

    def started(_: Any, app: Any) -> None:  # also with --nowebui, where there is no page
        host().page_opens()
        if problem() is None:
            _, api = ui()
            api.add_routes(app, worker(), hooks(api.Hooks))

    script_callbacks.on_ui_settings(webui_options.add_options)
    script_callbacks.on_ui_tabs(tabs)
    script_callbacks.on_app_started(started)
    script_callbacks.on_script_unloaded(lambda: host().page_closes())
