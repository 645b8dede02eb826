"""A WebUI that lacks our packages: ``pytest tests/webui --webui FOLDER --webui-without diffusers,peft``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.webui.driver import WebUI

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.webui, pytest.mark.slow]


@pytest.mark.usefixtures("shoot")
def test_the_tab_opens_and_explains(webui: WebUI, page: Page, request: pytest.FixtureRequest) -> None:
    without = request.config.getoption("--webui-without")
    if not without:
        pytest.skip("no --webui-without is given")
    page.locator("#tabs > .tab-nav button:has-text('Train LoRA')").click()
    explanation = page.locator("#lora_trainer_missing").inner_text()
    assert all(name in explanation for name in without.split(",")) and "restart the WebUI" in explanation
    assert webui.picture() == webui.picture(), "the WebUI itself works"
