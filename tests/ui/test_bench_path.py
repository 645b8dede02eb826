"""A user's whole path through the bench in a real browser, on the real server: drop, tag, bind, fix, undo."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, Page, expect

from lora_trainer.tagging.download import Sources
from lora_trainer.tagging.models import WD14
from lora_trainer.ui.standalone import page
from tests.api.fake import FakeWorker
from tests.dataset.checks.sets import sound
from tests.project.models import Colours, PaperHost, keep
from tests.ui.pages import CHROMIUM, bad_for_some, served, shoot, shown

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]


@pytest.fixture()
def tab(browser: Browser, home: Path) -> Iterator[Page]:
    worker: Any = FakeWorker(home)
    worker.host = PaperHost(home, Colours())
    keep(Sources(store=worker.host.paths.runs.parent / "taggers", online=False), WD14[0])
    with served(page(worker)) as address, shown(browser, address) as opened:
        yield opened


@pytest.fixture()
def pictures(tmp_path: Path) -> list[Path]:
    """Ten sound pictures, one of them twice, and a file that is none."""
    found = sound(tmp_path / "新 set", 10)
    shutil.copy(found[0], twice := found[0].with_name("twice <b>.png"))
    (readme := found[0].with_name("readme.md")).write_text("not a picture", encoding="utf-8")
    return [*found, twice, readme]


def test_drop_tag_bind_fix(tab: Page, pictures: list[Path], home: Path) -> None:
    expect(tab.locator(".lt-stepper")).to_be_hidden()
    shoot(tab, "path-1-empty")
    assert bad_for_some(tab) == []
    _drop(tab, pictures)
    _say_what_it_is(tab)
    _mend_duplicates(tab)
    shoot(tab, "path-3-checked")
    assert bad_for_some(tab) == []
    tab.click("[data-step=tags]")
    _tag(tab)
    shoot(tab, "path-4-tagged")
    assert bad_for_some(tab) == []
    _type(tab, home)
    _bind(tab)
    shoot(tab, "path-5-bound")
    _come_back(tab)


def _drop(tab: Page, pictures: list[Path]) -> None:
    """A drop's files are made in the page, of the bytes of real ones."""
    files = [{"name": path.name, "bytes": base64.b64encode(path.read_bytes()).decode()} for path in pictures]
    carried = tab.evaluate_handle(
        """(files) => {
            const carried = new DataTransfer();
            for (const {name, bytes} of files) {
                carried.items.add(new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], name));
            }
            return carried;
        }""",
        files,
    )
    zone = tab.locator(".lt-drop")
    zone.dispatch_event("dragenter", {"dataTransfer": carried})
    expect(zone).to_have_class(re.compile("lt-over"))
    zone.dispatch_event("drop", {"dataTransfer": carried})
    expect(tab.locator("[data-step=images] .lt-step-summary")).to_have_text("11 images")
    expect(tab.get_by_text("1 file of another kind was left out.")).to_be_visible()
    expect(tab.locator(".lt-tile")).to_have_count(11)
    expect(tab.locator(".lt-tile img").first).to_have_js_property("complete", True)


def _say_what_it_is(tab: Page) -> None:
    tab.get_by_label("Trigger word").fill("myword")
    tab.get_by_label("Name", exact=True).fill("My character")
    tab.get_by_label("Style").check()
    tab.get_by_label("Character").check()
    expect(tab.locator(".lt-project")).to_contain_text("My character")


def _mend_duplicates(tab: Page) -> None:
    finding = tab.locator(".lt-finding", has_text=re.compile("same picture"))
    expect(finding).to_have_count(1)
    shoot(tab, "path-2-findings")
    finding.get_by_role("button", name="Show 2").click()
    expect(tab.locator(".lt-tile")).to_have_count(2)
    tab.get_by_role("button", name="Show all").click()
    finding.get_by_role("button", name=re.compile("^Fix")).click()
    expect(finding).to_have_count(0)
    expect(tab.locator("[data-step=images] .lt-step-summary")).to_have_text("10 images")
    tab.get_by_role("button", name=re.compile("^Undo")).click()
    expect(tab.locator("[data-step=images] .lt-step-summary")).to_have_text("11 images")
    tab.get_by_role("button", name=re.compile("^Redo")).click()
    expect(tab.locator("[data-step=images] .lt-step-summary")).to_have_text("10 images")


def _tag(tab: Page) -> None:
    expect(tab.get_by_label("Tagger")).to_have_value(WD14[0].name)
    tab.get_by_role("button", name="Tag", exact=True).click()
    expect(tab.locator("[data-step=tags] .lt-step-summary")).to_have_text("10 of 10 tagged")
    expect(tab.locator(".lt-caption textarea").first).not_to_have_value("")
    expect(tab.get_by_role("option", name=re.compile(r"^\(untagged\)"))).to_contain_text("0")


def _type(tab: Page, home: Path) -> None:
    """What is typed is on the disk a moment later, and can be filtered."""
    first = tab.locator(".lt-caption textarea").first
    first.fill("red hair, <i>hat</i>, smile")
    expect(tab.locator(".lt-caption .lt-saved").first).to_have_text("saved")
    texts = [file.read_text(encoding="utf-8") for file in home.rglob("*.txt")]
    assert any("red hair, <i>hat</i>, smile" in text for text in texts)
    tab.get_by_label("Show only").fill("red hair and not hat")
    expect(tab.locator(".lt-caption")).to_have_count(1)
    tab.get_by_label("Show only").fill("red hair and (")
    expect(tab.locator(".lt-filter .lt-field-error")).to_be_visible()
    tab.get_by_label("Show only").fill("")
    expect(tab.locator(".lt-caption")).to_have_count(10)


def _bind(tab: Page) -> None:
    """A tag that all have is added by the editor, and taken out again by binding."""
    tab.get_by_label("Tags, with commas between").fill("green eyes")
    expect(tab.locator(".lt-edit .lt-preview")).to_contain_text("10")
    tab.get_by_role("button", name="Apply").click()
    expect(tab.get_by_role("option", name=re.compile("^green eyes"))).to_contain_text("10")
    tab.locator("summary", has_text="Bind to the trigger").click()
    tag = tab.locator(".lt-bindings label", has_text="green eyes")
    expect(tag.locator("input")).to_be_checked()
    tab.get_by_role("button", name="Take the ticked tags out").click()
    expect(tab.get_by_role("option", name=re.compile("^green eyes"))).to_have_count(0)


def _come_back(tab: Page) -> None:
    """A reload comes back to the same project and step, and undo still works."""
    tab.reload()
    expect(tab.locator("[data-step=tags]")).to_have_attribute("aria-current", "step")
    tab.get_by_role("button", name=re.compile("^Undo")).click()
    expect(tab.get_by_role("option", name=re.compile("^green eyes"))).to_contain_text("10")
