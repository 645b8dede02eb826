"""More of the steps Train and Results in a browser: a held queue, a run that could not begin, settings that mean
something for one family alone, and pictures that a LoRA draws for the set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, expect

from tests.ui.fake_run_server import FINISHED, Scene, app, made_grid, made_run
from tests.ui.pages import CHROMIUM, bad_for_some, served, shoot, shown

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]

APPLIES = """async (cases) => {
    const {applies} = await import(new URL("./lora_trainer/v1/page/test/settings_form.mjs", location.href));
    return cases.map(([needs, values]) => applies({needs}, values));
}"""


@pytest.fixture()
def scene() -> Scene:
    return Scene()


@pytest.fixture()
def address(scene: Scene) -> Iterator[str]:
    with served(app(scene)) as found:
        yield found


def ordered(scene: Scene, path: str) -> Any:
    """The body of the last order to a path, once it has come."""
    for _ in range(600):
        found = [body for _, where, body in scene.orders if where == path]
        if found:
            return found[-1]
        time.sleep(0.1)
    raise AssertionError(f"{path} was not ordered: {scene.orders}")


def test_a_held_queue_goes_on_and_what_could_not_begin_can_be_put_away(
    browser: Browser, scene: Scene, address: str
) -> None:
    entry = {"project": "p1", "changed": {}, "message": ""}
    broken = {**entry, "id": "b", "name": "broken", "state": "failed", "message": "There are no images in “/gone”."}
    scene.queue = [broken, {**entry, "id": "n", "name": "next", "state": "waiting"}]
    scene.held = "The queue waits for the paused run."
    with shown(browser, f"{address}#lt/p1/train") as tab:
        failed = tab.locator(".lt-queue li").first
        expect(failed).to_contain_text("Could not begin")
        expect(failed).to_contain_text("There are no images in “/gone”.")
        expect(failed.get_by_role("button")).to_have_count(2)
        expect(tab.locator(".lt-queue-box .lt-notice")).to_contain_text("The queue waits for the paused run.")
        shoot(tab, "queue-held")
        assert bad_for_some(tab) == []
        tab.get_by_role("button", name="Let the next run begin").click()
        ordered(scene, "queue/go")
        scene.held = ""
        expect(tab.locator(".lt-queue-box .lt-notice")).to_have_count(0)
        tab.get_by_role("button", name="Its settings: “broken”").click()
        expect(tab.locator("[data-step=train]")).to_have_attribute("aria-current", "step")
        tab.get_by_role("button", name="Remove “broken” from the queue").click()
        expect(tab.locator(".lt-queue li")).to_have_count(1)


def test_what_a_setting_needs(browser: Browser, address: str) -> None:
    cases: list[tuple[Any, Any, bool]] = [
        ({"weights": [{"not": []}]}, {"weights": []}, False),
        ({"weights": [{"not": []}]}, {"weights": ["a"]}, True),
        ({"family": ["SDXL"]}, {"family": "SD1"}, False),
        ({"family": ["SDXL"]}, {"family": "SDXL"}, True),
        ({"family": ["SDXL"]}, {}, True),
        ({"gamma": [{"above": 0}]}, {"gamma": 0}, False),
        ({"gamma": [{"above": 0}]}, {"gamma": 5}, True),
        (None, {}, True),
    ]
    with shown(browser, address) as tab:
        assert tab.evaluate(APPLIES, [[needs, values] for needs, values, _ in cases]) == [one[2] for one in cases]


def test_pictures_are_drawn_ticked_and_added_to_the_set(browser: Browser, scene: Scene, address: str) -> None:
    scene.run, scene.grid = FINISHED, {**made_grid(), "total": 90}
    with shown(browser, f"{address}#lt/p1/results") as tab:
        expect(tab.get_by_text("Drawn so far: 64 of 90 pictures.")).to_be_visible()
        tab.get_by_role("button", name="Draw more training pictures…").click()
        dialog = tab.get_by_role("dialog")
        prompts = dialog.get_by_label("Prompts, one in each line")
        expect(prompts).to_have_value("mychr, portrait")
        expect(dialog.get_by_label("Epoch")).to_have_value("5")
        prompts.fill("")
        dialog.get_by_role("button", name="Draw", exact=True).click()
        expect(dialog.get_by_text("Write a prompt first.")).to_be_visible()
        prompts.fill("mychr, sitting\n\nmychr, standing\n")
        dialog.get_by_label("Pictures of each").fill("3")
        dialog.get_by_role("button", name="Draw", exact=True).click()
        expect(dialog.locator(".lt-draft")).to_have_count(6)
        drawn = [body for _, where, body in scene.orders if where == "projects/p1/drafts"]
        assert [one["prompt"] for one in drawn] == ["mychr, sitting", "mychr, standing"]
        wanted = {"run": "run-1", "epoch": 5, "weight": 0.8, "count": 3}
        assert all(wanted.items() <= one.items() for one in drawn)
        shoot(tab, "drafts")
        assert bad_for_some(tab) == []
        dialog.get_by_label("Picture 2", exact=True).check()
        dialog.get_by_role("button", name="Enlarge picture 3").press("Enter")
        tab.get_by_role("button", name="Tick or untick").click()
        tab.keyboard.press("Escape")
        expect(dialog.get_by_text("Ticked: 2")).to_be_visible()
        dialog.get_by_role("button", name="Add the ticked ones to the set").click()
        assert ordered(scene, "projects/p1/adopt") == {"pictures": ["4", "3"]}
        expect(dialog.get_by_text("in the set", exact=True)).to_have_count(2)
        expect(dialog.get_by_label("Picture 2", exact=True)).to_be_disabled()


def test_another_projects_run_is_told_where_this_one_has_none(browser: Browser, scene: Scene, address: str) -> None:
    other = {**made_run(step=120), "id": "run-9", "project": "p2", "name": "other_char"}
    with shown(browser, f"{address}#lt/p1/train") as tab:
        expect(tab.locator("#lora_trainer_start")).to_have_text("Start training")
        scene.other = other
        expect(tab.get_by_text("“other_char” is training now", exact=False)).to_be_visible()
        expect(tab.locator("#lora_trainer_start")).to_have_text("Add to queue")
        shoot(tab, "other-run")
        scene.other = None
        expect(tab.locator("#lora_trainer_start")).to_have_text("Start training")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", ["plan_problem", "results_empty"])
def test_what_is_missing_can_be_read_by_all(
    browser: Browser, scene: Scene, address: str, state: str, theme: str
) -> None:
    problem = {"field": "images", "message": "There are no images yet."}
    scene.plan = {"problems": [problem], "sentence": "", "texts": {}} if state == "plan_problem" else {}
    step = "train" if state == "plan_problem" else "results"
    with shown(browser, f"{address}#lt/p1/{step}", theme=theme) as tab:
        tab.wait_for_selector(".lt-notice-problem" if step == "train" else ".lt-empty p")
        assert bad_for_some(tab) == []
