"""Which language a page speaks, and the texts that it and the host's localization need."""

from __future__ import annotations

import json
from pathlib import Path

from lora_trainer.language import Chinese, English, Language, fixed, texts

PAGE, HOST = ("ui.", "setting.", "curve."), ("option.", "tab.name")  # whose keys begin so
HOST_STEMS = ("zh_CN", "zh-Hans (Stable)", "zh-Hans (Testing)")  # localizations of the WebUI that are in use


def spoken(language: Language, accept: str) -> str:
    """The host's language, else the first that the browser accepts (an ``Accept-Language`` header), else English."""
    wanted = (fixed(part.strip()) for part in accept.split(","))
    return fixed(language) or next((known for known in wanted if known), English)


def page_texts(language: str) -> dict[str, str]:
    """All fixed texts of the page, by key."""
    return {key: text for key, text in texts(language).items() if key.startswith(PAGE)}


def host_dictionary() -> dict[str, str]:
    """English to Chinese for the WebUI's own localization: what stands on its pages, outside of ours.

    It replaces whatever equals a key anywhere on the page, so there are no single words, which others may use in
    another sense.
    """
    chinese = texts(Chinese)
    return {text: chinese[key] for key, text in texts(English).items() if key.startswith(HOST)}


def write_localizations(folder: Path) -> None:
    """Write the host's dictionary under every stem that Chinese users have chosen."""
    content = json.dumps(host_dictionary(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    for stem in HOST_STEMS:
        (folder / f"{stem}.json").write_text(content, encoding="utf-8", newline="\n")
