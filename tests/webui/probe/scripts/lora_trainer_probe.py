"""Only for the tests, in a WebUI that they start for themselves: ``POST /lora_trainer_probe`` runs Python inside it."""

from __future__ import annotations

import threading
import traceback
from typing import Any

from fastapi import Body
from modules import script_callbacks

BODY = Body()


def started(_: Any, app: Any) -> None:
    from lora_trainer.host import webui_app

    def probe(body: dict[str, Any] = BODY) -> dict[str, Any]:
        found: dict[str, Any] = {"host": webui_app.host(), "worker": webui_app.worker(), "app": app, "out": None}

        def run() -> None:
            try:
                exec(body["code"], found)
            except Exception:
                found["out"] = {"error": traceback.format_exc()}

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return {"out": found["out"]}

    app.add_api_route("/lora_trainer_probe", probe, methods=["POST"])


script_callbacks.on_app_started(started)
