"""What a host adds to the routes: its language, its checkpoint's title, who may ask, and its own fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lora_trainer.api.wording import Language

Password = Callable[[str, str], bool]  # (user, password) -> whether they fit


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Everything is optional: without hooks the routes speak the browser's language and let everybody in."""

    language: Language = None
    checkpoint: Callable[[], str] | None = None
    """The title of the checkpoint that would be trained on. Raises ``UserError`` where there is none."""
    extras: Callable[[], Mapping[str, object]] | None = None
    """Fields of an infotext that the host wants named."""
    password: Password | None = None
    """Whether a user and a password may use the API; None where it asks for none."""
    listening: bool = False
    """Whether other computers can reach this address."""
    host: str = "standalone"
    """``"webui"`` or ``"standalone"``."""
