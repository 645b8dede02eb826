"""The training's own code, which brings diffusers, peft and transformers: loaded when it is first needed, for that
takes a second, which a WebUI's start should not have to wait."""

from __future__ import annotations

import logging
from typing import Any

from lora_trainer.errors import UserError

log = logging.getLogger(__name__)


def load_engine() -> Any:
    """The module ``lora_trainer.job``. Raises ``UserError`` where a package that it needs does not load."""
    try:
        from lora_trainer import job
    except Exception as error:  # a package may fail in any way
        log.exception("a package that LoRA Trainer needs does not load")
        raise UserError("engine_broken", reason=f"{type(error).__name__}: {error}") from error
    return job
