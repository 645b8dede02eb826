"""Which language a page speaks, and the texts that its script and the host's localization need."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from lora_trainer.language import LANGUAGES, Chinese, English, texts, translate
from lora_trainer.settings import fields

Language: TypeAlias = (
    "str | Callable[[], str | None] | None"  # a code, the host's choice of one, or None: the browser's
)

HOST_STEMS = ("zh_CN", "zh-Hans (Stable)", "zh-Hans (Testing)")  # localizations of the WebUI that are in use


def fixed(language: Language) -> str | None:
    """The language that the host prescribes, from codes like ``zh_CN`` or ``zh-Hans (Stable)``; None: the browser's."""
    code = language() if callable(language) else language
    return next((known for known in LANGUAGES if (code or "").lower().startswith(known)), None)


def spoken(language: Language, accept: str) -> str:
    """The host's language, else the first that the browser accepts (an ``Accept-Language`` header), else English."""
    wanted = (fixed(part.strip()) for part in accept.split(","))
    return fixed(language) or next((known for known in wanted if known), English)


def hint(name: str, language: str) -> str:
    """What stands under a setting's widget: its help and its raw name, by which guides know it."""
    return translate("ui.hint", language, help=translate(f"setting.{name}.help", language), name=name)


def page_texts(language: str) -> dict[str, str]:
    """All texts of the page by key, as the script gets them; hints stand for helps."""
    kept = {key: text for key, text in texts(language).items() if key.startswith(("ui.", "setting.", "curve."))}
    hints = {f"setting.{name}.help": hint(name, language) for name in fields()}
    return {**kept, **hints}


def host_dictionary() -> dict[str, str]:
    """English to Chinese for the WebUI's own localization, which replaces whatever equals a key anywhere on the page.

    So single words are left out, which other tabs may use in another sense, and texts that are filled with values.
    """
    chinese = page_texts(Chinese)
    ours = ((key, text) for key, text in page_texts(English).items() if key.startswith(("ui.", "setting.")))
    return {text: chinese[key] for key, text in ours if " " in text and "{" not in text}


def write_localizations(folder: Path) -> None:
    """Write the host's dictionary under every stem that Chinese users have chosen."""
    content = json.dumps(host_dictionary(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    for stem in HOST_STEMS:
        (folder / f"{stem}.json").write_text(content, encoding="utf-8", newline="\n")
