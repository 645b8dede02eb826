"""The WebUI runs this: it registers callbacks, and imports the package now, while its folder is on sys.path."""

from __future__ import annotations

from types import ModuleType

from lora_trainer.host import webui_app


def tab() -> ModuleType:
    """The tab, when the WebUI asks for it."""
    from lora_trainer.ui import tab

    return tab


def api() -> ModuleType:
    """The routes, when the WebUI is up."""
    from lora_trainer import api

    return api


webui_app.register(tab, api)
