"""The steps Images and Tags in a real browser, on a server that a test makes up: states, keyboard, width, languages."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, Page, expect

from tests.ui.fake_bench_server import Bench, app
from tests.ui.pages import CHROMIUM, bad_for_some, served, shoot, shown

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]

FOUND = [
    dict(key="no_bucket", severity="error", what="1 images have too short a side.", why="Training would refuse.",
         help="Set aside", remedy=True, images=[f"{3:016x}"]),
    dict(key="outlier", severity="note", what="2 say something else: <b>2girls</b>.", why="A wrong meaning is learnt.",
         help="Look at the images", remedy=False, images=[f"{5:016x}"]),
]  # fmt: skip


@pytest.fixture()
def bench() -> Bench:
    return Bench()


@pytest.fixture()
def address(bench: Bench) -> Iterator[str]:
    with served(app(bench)) as found:
        yield found


def test_the_first_path_is_three_decisions_and_one_button(browser: Browser, bench: Bench, address: str) -> None:
    """From the empty page by keyboard alone to Start; the tagger's download is asked for, and only then ordered."""
    with shown(browser, address) as tab:
        expect(tab.get_by_role("button", name="Start")).to_be_hidden()
        tab.get_by_label("Or a folder on the computer that runs this").fill("/pictures/10_miku")
        tab.keyboard.press("Enter")
        expect(tab.locator("[data-step=images] .lt-step-summary")).to_have_text("4 images")
        trigger = tab.get_by_label("Trigger word")
        expect(trigger).to_be_focused()
        tab.keyboard.type("a, b")
        tab.keyboard.press("Tab")
        expect(tab.locator(".lt-field-error", has_text="without a comma")).to_be_visible()
        trigger.fill("miku_v1")
        tab.keyboard.press("Tab")
        expect(tab.get_by_label("Name", exact=True)).to_have_value("miku")
        tab.get_by_role("button", name="Start").press("Enter")
        tab.wait_for_function("() => location.hash.endsWith('/train')")
    orders = {path: body for _, path, body in bench.orders}
    assert orders["import"] == {"path": "/pictures/10_miku", "in_place": False}
    assert orders["tag"]["tagger"] == "deepbooru" and orders["start"] == {"queue": False}


def test_a_download_needs_consent(browser: Browser, bench: Bench, address: str) -> None:
    bench.fill(3, tagged=False)
    bench.task_s = 4.0
    with shown(browser, f"{address}#lt/p1/tags") as tab:
        tab.get_by_label("Tagger").select_option("wd-swinv2-tagger-v3")
        tab.get_by_role("button", name="Tag", exact=True).click()
        dialog = tab.get_by_role("dialog")
        expect(dialog).to_contain_text("468 MB")
        assert bad_for_some(tab) == []
        tab.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(tab.get_by_role("button", name="Tag", exact=True)).to_be_focused()
        assert not bench.orders
        tab.get_by_role("button", name="Tag", exact=True).click()
        tab.get_by_role("button", name="Download and tag").click()
        expect(tab.get_by_role("progressbar", name="Progress of the work")).to_be_visible()
        expect(tab.locator("[data-step=tags] .lt-step-summary")).to_have_text("3 of 3 tagged")
    assert bench.orders[-1][2]["download"] is True and bench.orders[-1][2]["threshold"] is None


def test_ten_thousand_images_and_the_keyboard(browser: Browser, bench: Bench, address: str) -> None:
    bench.fill(10_000)
    bench.checked, bench.findings = True, list(FOUND)
    with shown(browser, f"{address}#lt/p1/images") as tab:
        tiles = tab.locator(".lt-tile")
        expect(tiles).to_have_count(60)
        expect(tab.get_by_text("Page 1 of 167")).to_be_visible()
        assert "<b>" in tiles.nth(3).inner_text()
        tab.get_by_role("listbox", name="Images of the set").focus()
        for key in ("Home", "Space", "Shift+ArrowRight", "Shift+ArrowRight"):
            tab.keyboard.press(key)
        expect(tab.get_by_text("3 chosen")).to_be_visible()
        tab.keyboard.press("Delete")
        expect(tab.locator("[data-step=images] .lt-step-summary")).to_have_text("9997 images")
        expect(tab.locator("#lora_trainer_live")).to_have_text("3 images were taken out of the set.")
        tab.keyboard.press("PageDown")
        expect(tab.get_by_text("Page 2 of 167")).to_be_visible()
        tab.get_by_role("button", name="Show 1").first.click()
        expect(tab.get_by_text("Only: 1 images have too short a side.")).to_be_visible()
        tab.get_by_role("button", name="Start").click()
        expect(tab.locator(".lt-news")).to_contain_text("has to be mended first")
        assert not [body for _, path, body in bench.orders if path == "start"]


def test_captions_are_saved_as_typed(browser: Browser, bench: Bench, address: str) -> None:
    bench.fill(30)
    with shown(browser, f"{address}#lt/p1/tags") as tab:
        first = tab.get_by_label("Caption of miku_0000.png")
        first.click()
        tab.keyboard.press("End")
        tab.keyboard.type(", <img src=x onerror=alert(1)>")
        expect(tab.locator(".lt-caption .lt-saved").first).to_have_text("saved")
        expect(first).to_be_focused()
        assert bench.images[0]["caption"] == "1girl, <img src=x onerror=alert(1)>"
        tab.keyboard.press("Control+ArrowDown")
        expect(tab.get_by_label("Caption of miku_0001.png")).to_be_focused()
        tab.get_by_role("listbox", name="All tags").focus()
        tab.keyboard.press("End")
        tab.keyboard.press("Enter")
        expect(tab.get_by_label("Show only")).to_have_value('"<img src=x onerror=alert(1)>"')
        expect(tab.locator(".lt-caption")).to_have_count(1)
        expect(tab.locator(".lt-edit .lt-preview")).to_have_text("Remove changes 1 of 30 images.")
        tab.get_by_role("button", name="Apply").click()
        expect(tab.get_by_text("No image fits this filter.")).to_be_visible()


def test_one_image_has_repeats_of_its_own(browser: Browser, bench: Bench, address: str) -> None:
    bench.fill(3)
    with shown(browser, f"{address}#lt/p1/images") as tab:
        tab.locator(".lt-tile").first.dblclick()
        repeats = tab.get_by_role("dialog").get_by_label("Repeats")
        expect(repeats).to_have_value("1")
        repeats.fill("1001")
        repeats.press("Tab")
        expect(tab.get_by_role("dialog").get_by_text("1 to 1000")).to_be_visible()
        repeats.fill("5")
        repeats.press("ArrowLeft")
        tab.get_by_role("button", name="Next").click()
        expect(tab.locator(".lt-large-name")).to_have_text("miku_0001.png")
        expect(repeats).to_have_value("1")
        repeats.fill("")
        tab.keyboard.press("Escape")
        expect(tab.get_by_role("dialog")).to_have_count(0)
        tab.wait_for_load_state("networkidle")
    assert [body for _, path, body in bench.orders if path == "repeats"] == [
        {"image": f"{0:016x}", "repeats": 5},
        {"image": f"{1:016x}", "repeats": None},
    ]


def test_the_next_untagged_image_is_a_key_away(browser: Browser, bench: Bench, address: str) -> None:
    bench.fill(50)
    for number in (1, 30, 40):
        bench.caption(bench.images[number], "")
    with shown(browser, f"{address}#lt/p1/tags") as tab:
        expect(tab.locator(".lt-caption")).to_have_count(20)
        tab.get_by_label("Caption of miku_0000.png").click()
        tab.keyboard.press("Control+j")
        expect(tab.get_by_label("Caption of miku_0001.png")).to_be_focused()
        tab.keyboard.type("hat")
        tab.keyboard.press("Control+j")
        expect(tab.get_by_label("Caption of miku_0030.png")).to_be_focused()
        tab.keyboard.type("long hair")
        expect(tab.locator(".lt-caption", has_text="miku_0030").locator(".lt-saved")).to_have_text("saved")
        tab.wait_for_timeout(600)
        expect(tab.get_by_label("Caption of miku_0030.png")).to_be_focused()
        expect(tab.get_by_label("Caption of miku_0030.png")).to_have_value("long hair")
        tab.keyboard.press("Control+j")
        expect(tab.get_by_label("Caption of miku_0040.png")).to_be_focused()
        tab.keyboard.type("smile")
        tab.keyboard.press("Control+j")
        expect(tab.locator("#lora_trainer_live")).to_have_text("All images have tags.")
    assert [bench.images[number]["caption"] for number in (1, 30, 40)] == ["hat", "long hair", "smile"]


def test_a_set_that_cannot_be_read_says_so(browser: Browser, bench: Bench, address: str) -> None:
    bench.fill(0)
    bench.problem = {"key": "folder_missing", "field": "images", "message": "The folder “/gone” is not there."}
    with shown(browser, f"{address}#lt/p1/images") as tab:
        expect(tab.locator(".lt-images .lt-notice-problem")).to_have_text("The folder “/gone” is not there.")


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("step", ["images", "tags"])
def test_a_narrow_window_needs_no_scrolling_sideways(
    browser: Browser, bench: Bench, address: str, locale: str, step: str
) -> None:
    bench.fill(12)
    bench.checked, bench.findings = True, list(FOUND)
    with shown(browser, f"{address}#lt/p1/{step}", width=360, locale=locale, theme="dark") as tab:
        tab.wait_for_selector(".lt-tile, .lt-caption")
        for fold in tab.locator(".lt-step:not([hidden]) summary").all():
            if fold.is_visible():
                fold.click()
        _settled(tab)
        assert tab.evaluate("() => document.documentElement.scrollWidth") <= 360
        assert bad_for_some(tab) == []
        left_over = re.findall(r"\bui\.[a-z]+\.\w+|\{\w+\}", tab.locator("#lora_trainer").inner_text())
        assert left_over == []
        shoot(tab, f"narrow-{step}-{locale}")


def _settled(tab: Page) -> None:
    tab.wait_for_load_state("networkidle")
    tab.wait_for_timeout(500)
