"""What a host adds to the routes: its language, its checkpoint's title, who may ask, and its own fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lora_trainer.language import Language
from lora_trainer.tagging.download import Sources

Password = Callable[[str, str], bool]  # (user, password) -> whether they fit


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Everything is optional: without hooks the routes speak the browser's language and let everybody in."""

    language: Language = None
    checkpoint: Callable[[], str] | None = None
    """The title of the checkpoint that would be trained on. Raises ``UserError`` where there is none."""
    family: Callable[[], str] | None = None
    """Its family: SD1, SD2 or SDXL; empty while it is not known. Raises ``UserError`` where it cannot be trained."""
    extras: Callable[[], Mapping[str, object]] | None = None
    """Fields of an infotext that the host wants named."""
    password: Password | None = None
    """Whether a user and a password may use the API; None where it asks for none."""
    defaults: Callable[[], Mapping[str, str]] = dict
    """With what new projects begin: ``preset``, an id or the name of one of the user's own, and ``tagger``."""
    sources: Callable[[], Sources] | None = None
    """Where tagging models lie and come from; None: the hub's usual ways."""
    listening: bool = False
    """Whether other computers can reach this address."""
    login: bool = False
    """Whether the page asks who you are."""
    closing: Callable[[], bool] = lambda: False
    """Whether the server is about to end, so that what is sent without end has to."""
    host: str = "standalone"
    """``"webui"`` or ``"standalone"``."""
