"""What tests of texts share: a file of them, and that both languages say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter

import lora_trainer

PACKAGE = Path(lora_trainer.__file__).parent


def texts(language: str, file: str) -> dict[str, str]:
    """The texts in ``locale/<language>/<file>.json``."""
    found: dict[str, str] = json.loads((PACKAGE / "locale" / language / f"{file}.json").read_text(encoding="utf-8"))
    return found


def places(text: str) -> set[tuple[str, str | None]]:
    """The values that fill a text, and how they are written."""
    return {(name.split("|")[0], form) for _, name, form, _ in Formatter().parse(text) if name}


def same_in_both(file: str) -> None:
    """Fails where a text is missing in a language, takes other values, or is in the letters of the other."""
    english, chinese = texts("en", file), texts("zh", file)
    assert list(english) == list(chinese)
    assert {key: places(text) for key, text in english.items()} == {key: places(text) for key, text in chinese.items()}
    assert [key for key, text in chinese.items() if not re.search("[\u4e00-\u9fff]", text)] == []
    assert [key for key, text in english.items() if re.search("[\u2e80-\uffff]", text)] == []


def code(*patterns: str) -> str:
    """The source below the package, one file after the other."""
    files = [file for pattern in patterns for file in sorted(PACKAGE.glob(pattern))]
    return "".join(file.read_text(encoding="utf-8") for file in files)


def named(kinds: str, source: str) -> set[str]:
    """The keys that ``source`` calls these kinds of errors or events with: ``"BadSettings|RunFailed"``."""
    return set(re.findall(rf'(?:{kinds})\(\s*(?:key=)?"(\w+)"', source))
