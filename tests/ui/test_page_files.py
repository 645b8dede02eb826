"""What can be said of the page's files without a browser: their sizes, and that every label they name exists."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from lora_trainer.api.page import FOLDER, page_files
from lora_trainer.api.wording import page_texts

MOST_LINES, MOST_SENT = 300, 150_000
SCRIPTS = [name for name in page_files() if name.endswith(".mjs")]
STYLES = [name for name in page_files() if name.endswith(".css")]


def text(name: str) -> str:
    return (FOLDER / Path(name)).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short_and_all_its_labels_exist(name: str) -> None:
    assert text(name).count("\n") <= MOST_LINES
    known = page_texts("en")
    named = set(re.findall(r"""\bsay\("([\w.]+)\"""", text(name)))
    assert not {key for key in named if key not in known and f"ui.{key}" not in known}


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_becomes_markup(name: str) -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text(name))


@pytest.mark.parametrize("name", [name for name in STYLES if name != "standalone.css"])
def test_styles_stay_in_the_tab(name: str) -> None:
    bare = re.sub(r"/\*.*?\*/", "", text(name), flags=re.DOTALL)
    selectors = [found.strip() for found in re.findall(r"(?:^|[{}])([^{}@;]+)\{", bare)]
    outside = [one for one in selectors if "#lora_trainer" not in one and one not in ("from", "to")]
    assert not outside


def test_the_page_is_small() -> None:
    """What travels, once somebody looks at the tab: both hosts pack their answers."""
    assert sum(len(gzip.compress(text(name).encode())) for name in page_files()) <= MOST_SENT
