"""What of us lives as long as the WebUI's process, and its callbacks: a run goes on while the page is built anew."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from modules import script_callbacks

from lora_trainer.host import compat, webui_options
from lora_trainer.language import translate

if TYPE_CHECKING:
    from lora_trainer.host.webui import WebUIHost
    from lora_trainer.host.worker import Worker

log = logging.getLogger(__name__)
LOOK_S = 3.0  # after the WebUI's start, which comes first
NEEDED = ("diffusers", "peft")  # install.py adds them
NAME, ELEM_ID = "Train LoRA", "lora_trainer"


@cache
def host() -> WebUIHost:
    """The one host."""
    from lora_trainer.host.webui import WebUIHost

    return WebUIHost()


@cache
def worker() -> Worker:
    """The one worker."""
    from lora_trainer.host.worker import Worker

    return Worker(host())


def problem() -> str | None:
    """Why the trainer cannot work here, in the WebUI's language; None where every package is there. Whether they load
    is seen once the WebUI is up (``Worker.look``)."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return translate("webui.missing", compat.language(), names=", ".join(missing)) if missing else None


def hooks(kind: type[Any]) -> Any:
    """What the WebUI adds to our routes. Equal as long as its flags are, so that *Reload UI* leaves our services be."""
    from lora_trainer.host.webui_model import checkpoint_family, checkpoint_title

    return kind(
        language=webui_options.language,
        checkpoint=checkpoint_title,
        family=checkpoint_family,
        extras=compat.infotext_fields,
        password=compat.is_api_user if compat.has_api_password() else None,
        defaults=webui_options.defaults,
        sources=webui_options.tagger_sources,
        listening=compat.listens(),
        login=compat.has_login(),
        closing=compat.page_closes,
        host="webui",
    )


def register(tab: Callable[[], ModuleType], api: Callable[[], ModuleType]) -> None:
    """Register our callbacks. ``tab`` and ``api`` bring the modules of the tab and of its routes, when they are
    needed."""

    def tabs() -> list[tuple[Any, str, str]]:
        why = problem()
        if why:
            blocks = tab().build_missing(why, language=webui_options.language)
        else:
            blocks = tab().build(paste=compat.connect_paste, language=webui_options.language)
        return [(blocks, NAME, ELEM_ID)]

    def answer(app: Any) -> None:
        try:
            host().page_opens()
            if problem() is None:
                api().add_routes(app, worker(), hooks(api().Hooks))
                _look_later()
        except Exception:
            log.exception("LoRA Trainer cannot answer")

    def started(demo: Any, app: Any) -> None:
        if demo is None:  # with --nowebui: who reaches the API shall find it whole
            answer(app)
        else:  # the page asks again until it is answered, so that nobody waits for it at the start
            threading.Thread(target=answer, args=(app,), name="lora_trainer routes", daemon=True).start()

    script_callbacks.on_ui_settings(webui_options.add_options)
    script_callbacks.on_ui_tabs(tabs)
    script_callbacks.on_app_started(started)
    script_callbacks.on_script_unloaded(lambda: host().page_closes())


def _look_later() -> None:
    """Have a package that does not load be noticed before a run is started."""
    timer = threading.Timer(LOOK_S, worker().look)
    timer.daemon = True
    timer.start()
