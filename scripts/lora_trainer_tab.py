"""The WebUI runs this: it registers callbacks, and imports the package now, while its folder is on sys.path."""

from __future__ import annotations

from types import ModuleType

from lora_trainer.host import webui_app


def ui() -> tuple[ModuleType, ModuleType]:
    """The tab and its routes, when the WebUI asks for them."""
    from lora_trainer import api
    from lora_trainer.ui import tab

    return tab, api


webui_app.register(ui)
