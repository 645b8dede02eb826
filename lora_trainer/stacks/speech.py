"""What is said before anything is installed: in English or Chinese, as far as the system tells."""

from __future__ import annotations

import locale
import os
from typing import NoReturn


def words(english: str, chinese: str) -> str:
    """The sentence in the reader's language, as far as the system tells."""
    language = os.environ.get("LC_ALL") or os.environ.get("LANG") or locale.setlocale(locale.LC_CTYPE)
    return chinese if language.lower().startswith(("zh", "chinese")) else english


def give_up(english: str, chinese: str) -> NoReturn:
    """Say what is wrong and end."""
    raise SystemExit(words(english, chinese))
