"""A WebUI that lacks our packages: ``pytest tests/webui --webui FOLDER --webui-without diffusers,peft``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.webui.driver import WebUI

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.webui, pytest.mark.slow]


@pytest.fixture()
def without(webui: WebUI, request: pytest.FixtureRequest) -> str:
    """The packages that are missing."""
    names = str(request.config.getoption("--webui-without"))
    if not names:
        pytest.skip("no --webui-without is given")
    return names


def test_the_tab_opens_and_explains(without: str, shoot: None, webui: WebUI, page: Page) -> None:
    page.locator("#tabs > .tab-nav button:has-text('Train LoRA')").click()
    explanation = page.locator("#lora_trainer_missing").inner_text()
    assert all(name in explanation for name in without.split(",")) and "restart the WebUI" in explanation
    assert webui.picture() == webui.picture(), "the WebUI itself works"
