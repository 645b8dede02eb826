"""Every setting on the real server: a control with help in both languages, and its value in the run's own file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, expect

from lora_trainer.api import plan as plan_routes
from lora_trainer.api.schema import form
from lora_trainer.api.services import Services
from lora_trainer.project.project import Project
from lora_trainer.ui.standalone import page
from tests.api.fake import FakeWorker
from tests.project.models import PaperHost
from tests.ui.pages import CHROMIUM, served, shown
from tests.ui.run_values import another

pytestmark = [pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"), pytest.mark.slow]

ELSEWHERE = {"images"}  # its control is the step Images
SET = """async ([name, value]) => {
    const input = document.querySelector(`.lt-step [data-field="${name}"] :is(input, select, textarea)`);
    if (input.type === "checkbox") input.checked = value;
    else if (input.tagName === "SELECT") {
        input.selectedIndex = [...input.options].findIndex((one) => one.textContent === String(value));
    } else input.value = Array.isArray(value) ? value.join(input.tagName === "TEXTAREA" ? "\\n" : ", ") : String(value);
    input.dispatchEvent(new Event("change", {bubbles: true}));
}"""
READ = """() => Object.fromEntries([...document.querySelectorAll(".lt-step [data-field]")].map((node) => [
    node.dataset.field, {label: node.querySelector("label").textContent, name: node.querySelector("label").title,
    help: node.querySelector(".lt-help").textContent, of: node.querySelector("label").htmlFor,
    id: node.querySelector("input, select, textarea").id}]))"""


def sound(project: Project, services: Services) -> Any:
    """The outlook whatever its problems are: there are no images and no such files."""
    return dataclasses.replace(services.planner.outlook(plan_routes.wanted_of(project, services)), problems=())


def fields_of(language: str) -> dict[str, dict[str, Any]]:
    told = json.loads(json.dumps(form(language)))
    return {field["name"]: field for group in told["groups"] for field in group["fields"]}


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_every_setting_has_a_control_and_its_value_arrives(
    browser: Browser, home: Path, monkeypatch: pytest.MonkeyPatch, locale: str
) -> None:
    monkeypatch.setattr(plan_routes, "sound", sound)
    worker: Any = FakeWorker(home)
    worker.host = PaperHost(home)
    fields = fields_of(locale[:2])
    with served(page(worker)) as address, shown(browser, address, locale=locale) as tab:
        project = tab.evaluate(
            """async () => (await (await fetch("./lora_trainer/v1/projects", {method: "POST", body: '{"name": "all"}',
            headers: {"Content-Type": "application/json"}})).json()).id"""
        )
        tab.goto(f"{address}#lt/{project}/train")
        tab.reload()
        tab.wait_for_selector(".lt-plan-facts", state="attached")
        tab.evaluate("() => document.querySelectorAll('.lt-rest details').forEach((fold) => { fold.open = true; })")
        expect(tab.locator(".lt-step [data-field]")).to_have_count(len(fields) - len(ELSEWHERE))
        for name, control in tab.evaluate(READ).items():
            said = {"label": fields[name]["label"], "name": name, "help": fields[name]["help"]}
            assert said.items() <= control.items() and control["of"] == control["id"]
        if locale != "en-US":
            return
        wanted = {name: another(field) for name, field in fields.items() if name not in ELSEWHERE}
        for name, value in wanted.items():
            with tab.expect_response(lambda told: told.request.method == "PATCH") as answered:
                tab.evaluate(SET, [name, value])
            assert answered.value.ok, (name, answered.value.text())
        tab.evaluate("() => { document.querySelector('#lora_trainer_start').disabled = false; }")
        tab.click("#lora_trainer_start")
        expect(tab.locator(".lt-headline strong")).to_be_visible()
        told = json.loads((worker.run.folder / "run.json").read_text(encoding="utf-8"))
        assert {name: told[name] for name in wanted} == wanted
