"""What can go wrong, as a user is told it.

Every failure that a user can mend is a ``UserError`` of one of the kinds below.

A message says what happened, why, and what to do next. Its texts are in ``locale/<language>/errors.json`` under
``key``; programming errors stay ``ValueError`` and ``AssertionError``.
"""

from __future__ import annotations

from lora_trainer.language import English, translate


class UserError(Exception):
    """A failure that a user can mend. ``key`` selects the sentence, ``values`` fill it, ``field`` names the setting
    at fault."""

    def __init__(self, key: str, *, field: str | None = None, **values: object) -> None:
        self.key, self.field, self.values = key, field, values
        super().__init__(self.text(English))

    def text(self, language: str = English) -> str:
        """The sentence in ``language`` (``"en"`` or ``"zh"``)."""
        return translate(f"error.{self.key}", language, **self.values)


class BadSettings(UserError):
    """A setting, or two together, that cannot work."""


class BadDataset(UserError):
    """Images or captions that cannot be used."""


class BadCheckpoint(UserError):
    """A checkpoint that is missing, unreadable or of an unsupported kind."""


class Busy(UserError):
    """Something else is running."""


class Unknown(UserError):
    """Something that was asked for and is not there (any more)."""


class RunFailed(UserError):
    """A run that could not go on; what it had saved is kept."""
