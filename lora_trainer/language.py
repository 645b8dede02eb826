"""Texts in English and Chinese, by key. They lie outside ``ui/`` because the command line speaks both languages too."""

from __future__ import annotations

import json
import locale
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeAlias

English, Chinese = "en", "zh"
LANGUAGES = (English, Chinese)
NUMBERED = re.compile(r"{(\w+)\|([^|{}]*)\|([^|{}]*)}")
Language: TypeAlias = (
    "str | Callable[[], str | None] | None"  # a code, the host's choice of one, or None: the browser's
)


@cache
def texts(language: str) -> dict[str, str]:
    """All texts of ``language``, merged from ``locale/<language>/*.json``; a key in two files is a ``ValueError``."""
    merged: dict[str, str] = {}
    for file in sorted((Path(__file__).with_name("locale") / language).glob("*.json")):
        for key, text in json.loads(file.read_text(encoding="utf-8")).items():
            if key in merged:
                raise ValueError(f"the text {key!r} stands twice; once in {file.name}")
            merged[key] = text
    return merged


def translate(key: str, language: str = English, **values: object) -> str:
    """The text of ``key`` filled with ``values``; English where ``language`` lacks it, ``KeyError`` where both do.

    ``{count|image is|images are}`` stands for the words that fit one, or any other number.
    """
    text = texts(language).get(key) if language in LANGUAGES else None
    return NUMBERED.sub(lambda found: _fitting(found, values), text or texts(English)[key]).format(**values)


def _fitting(found: re.Match[str], values: Mapping[str, object]) -> str:
    name, one, other = found.groups()
    return one if values[name] == 1 else other


def fixed(language: Language) -> str | None:
    """The language that the host prescribes, from codes like ``zh_CN`` or ``zh-Hans (Stable)``; None: the browser's."""
    code = language() if callable(language) else language
    return next((known for known in LANGUAGES if (code or "").lower().startswith(known)), None)


def system_language() -> str:
    """``"zh"`` where the operating system speaks Chinese, else ``"en"``."""
    code = locale.getlocale()[0] or ""
    return Chinese if code.lower().startswith(("zh", "chinese")) else English
