"""The main job in a real WebUI, as a user does it: ``pytest tests/webui --webui FOLDER --webui-python PYTHON``."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.webui.driver import SHOWN, WebUI

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.webui, pytest.mark.slow]

NAME = f"ghost{int(time.time()) % 1_000_000}"
SHARED = """
import gc
from diffusers import AutoencoderKL, UNet2DConditionModel
from modules import shared
live = {tensor.data_ptr() for tensor in shared.sd_model.state_dict().values()}
kinds = (UNet2DConditionModel, AutoencoderKL)
ours = [p for m in gc.get_objects() if isinstance(m, kinds) for n, p in m.named_parameters() if "lora_" not in n]
out = {"count": len(ours), "shared": sum(p.data_ptr() in live for p in ours)}
"""
EQUAL = """
import torch
from pathlib import Path
from lora_trainer.checkpoint.adopt import adopt
from modules import shared
with host.exclusive():
    live, parts = shared.sd_model, adopt(host.checkpoint(), host.paths.runs.parent / "cache")
    generator = torch.Generator().manual_seed(0)
    width = parts.unet.config.cross_attention_dim
    x, context = torch.randn(2, 4, 16, 16, generator=generator), torch.randn(2, 77, width, generator=generator)
    like = next(parts.unet.parameters())
    x, context, times = x.to(like), context.to(like), torch.tensor([10, 700], device=like.device)
    with torch.no_grad():
        pictures = parts.vae.decode(x[:1] / parts.scale_factor).sample - live.decode_first_stage(x[:1])
        out = {"vae": float(pictures.abs().max())}
        if not parts.family.sized:  # SDXL's wants more than noise and text; whole pictures are compared below
            ours = parts.unet(x, times, encoder_hidden_states=context).sample
            theirs = live.model.diffusion_model(x, times, context=context)
            out["unet"] = float((ours - theirs).abs().max())
    del parts
"""
# Our own modules draw what txt2img draws with the LoRA in the prompt.
OURS = """
import base64
from pathlib import Path
from lora_trainer.adapter.layers import eject, load_lora
from lora_trainer.checkpoint.adopt import adopt
from lora_trainer.checkpoint.precision import choose, place
from lora_trainer.checkpoint.sampling import Drawing, draw_picture
with host.exclusive() as device:
    parts, precision = adopt(host.checkpoint(), host.paths.runs.parent / "cache"), choose(device, "fp32")
    place(parts, precision)
    load_lora(parts, Path(host.paths.loras) / FILE)
    picture = draw_picture(parts, Drawing(**DRAWING), precision)
    eject(parts)
    del parts
out = base64.b64encode(picture.convert("RGB").tobytes()).decode()
"""
RAISE = """
from lora_trainer.training import loop
kept = loop.losses
def losses(*values):
    loop.losses = kept
    raise RuntimeError("a failure made by the tests")
loop.losses = losses
"""


# What is left of a run of seconds when the tab's three decisions are made in the tab.
CHANGE = """async (values) => {
    const base = "./lora_trainer/v1/projects", project = (await (await fetch(base)).json())[0];
    const headers = {"Content-Type": "application/json"}, body = JSON.stringify({settings: values});
    return (await fetch(`${base}/${project.id}`, {method: "PATCH", headers, body})).status;
}"""


def ours(page: Page) -> Locator:
    """Our part of the WebUI's page."""
    return page.locator("#lora_trainer")


def open_tab(page: Page) -> None:
    """Show our tab."""
    page.locator("#tabs > .tab-nav button:has-text('Train LoRA')").click()
    page.wait_for_selector("#lora_trainer .lt-head")


def open_step(page: Page, key: str) -> None:
    """Show one of the four steps."""
    open_tab(page)
    page.click(f"#lora_trainer [data-step={key}]")


def gallery(page: Page) -> str:
    """What the gallery of txt2img shows."""
    return str(page.evaluate("() => [...document.querySelectorAll('#txt2img_gallery img')].map(i => i.src).join()"))


def generate(page: Page) -> None:
    """Press Generate, and wait for the pictures."""
    before = gallery(page)
    page.click("#txt2img_generate")
    page.wait_for_function(
        "before => { const now = [...document.querySelectorAll('#txt2img_gallery img')].map(i => i.src).join();"
        " return now && now !== before"
        " && getComputedStyle(document.querySelector('#txt2img_interrupt')).display === 'none' }",
        arg=before,
    )


@pytest.fixture(scope="module")
def plain(complete: WebUI) -> bytes:
    """The picture before anything was trained."""
    first = complete.picture()
    assert complete.picture() == first, "this WebUI does not draw the same picture twice"
    return first


@pytest.fixture(scope="module")
def trained(webui: WebUI, page: Page, plain: bytes) -> dict[str, Any]:
    """The status of a run that was started in the tab and went to its end."""
    open_tab(page)
    tab = ours(page)
    tab.get_by_label("Or a folder on the computer that runs this").fill(SHOWN["images"])
    tab.get_by_label("Use the images where they lie, without copies").check()
    tab.get_by_role("button", name="Add", exact=True).click()
    tab.get_by_label("Trigger word").fill(SHOWN["trigger"])
    tab.get_by_label("Name", exact=True).fill(NAME)
    tab.get_by_label("Name", exact=True).press("Tab")
    told = tab.locator("[data-step=images] .lt-step-summary")
    page.wait_for_function("node => node.textContent.includes('20')", arg=told.element_handle())
    page.wait_for_timeout(1500)
    assert page.evaluate(CHANGE, {name: SHOWN[name] for name in SHOWN if name not in ("images", "trigger")}) == 200
    tab.get_by_role("button", name="Start", exact=True).click()
    status = webui.wait_for(lambda status: status["id"] and status.get("name") == NAME and status["state"] != "running")
    return status


@pytest.mark.usefixtures("shoot")
def test_the_tab_trains_on_the_loaded_checkpoint(webui: WebUI, trained: dict[str, Any], page: Page) -> None:
    assert trained["state"] == "finished", trained["message"]
    assert [file["epoch"] for file in trained["files"]] == [1, 2, 3, 4]
    assert trained["chosen"]["reasons"] and trained["sheet"]
    title = webui.call("/sdapi/v1/options")["sd_model_checkpoint"]
    open_step(page, "images")
    assert title in ours(page).inner_text()
    open_step(page, "results")
    page.wait_for_selector("#lora_trainer [role=grid] img")
    page.wait_for_function("() => [...document.querySelectorAll('[role=grid] img')].every(one => one.naturalWidth)")


def test_the_first_step_comes_within_two_seconds(inside: WebUI, trained: dict[str, Any]) -> None:
    events = inside.events(trained["id"])
    ready = next(event["time"] for event in events if event["kind"] == "stage" and event["stage"] == "training")
    first = next(event for event in events if event["kind"] == "stepped")
    print(f"first step {first['time'] - ready:.2f} s after caching, of which {first['seconds']:.2f} s the step itself")
    assert first["time"] - ready <= 2


@pytest.mark.usefixtures("shoot")
def test_the_lora_is_called_in_the_prompt_and_changes_the_picture(
    webui: WebUI, trained: dict[str, Any], page: Page, plain: bytes
) -> None:
    page.locator("#tabs > .tab-nav button:has-text('txt2img')").click()
    page.fill("#txt2img_prompt textarea", "")
    open_step(page, "results")
    page.click("#lora_trainer_use")
    page.wait_for_selector("#txt2img_generate", state="visible")
    prompt = page.input_value("#txt2img_prompt textarea")
    assert f"<lora:{NAME}-00000" in prompt
    assert webui.picture(prompt) != webui.picture(prompt.split("<lora:")[0])
    assert webui.picture() == plain
    page.locator("#txt2img_extra_tabs .tab-nav button:has-text('Lora')").click()
    page.click("#txt2img_lora_extra_refresh")
    page.wait_for_selector(f"#txt2img_lora_cards .card[data-name^='{NAME}']")


@pytest.mark.usefixtures("shoot")
def test_the_grid_is_sent_and_drawn(webui: WebUI, trained: dict[str, Any], page: Page, plain: bytes) -> None:
    open_step(page, "results")
    page.click("#lora_trainer_to_xyz")
    values = "#script_txt2img_xyz_plot_{}_values textarea"
    page.wait_for_function(
        "selector => (document.querySelector(selector) || {}).value?.includes('STRENGTH')", arg=values.format("y")
    )
    page.wait_for_timeout(1000)
    assert page.locator("#script_list input").first.input_value() == "X/Y/Z plot"
    assert page.input_value(values.format("x")) == "NUM,000001,000002,000003,000004"
    assert page.input_value(values.format("y")) == "STRENGTH,0.6,1"
    assert page.locator("#txt2img_override_settings .token").count() == 0
    page.locator("#txt2img_extra_tabs > .tab-nav button:has-text('Generation')").click()
    generate(page)
    if webui.data is not None:
        newest = max((webui.data / "outputs").rglob("*.png"), key=lambda path: path.stat().st_mtime)
        with Image.open(newest) as grid:
            assert grid.width >= 4 * 128 and grid.height >= 3 * 128
    assert webui.picture() == plain


def test_no_second_copy_is_loaded(inside: WebUI, plain: bytes) -> None:
    differences = inside.probe(EQUAL)
    print(differences)
    assert max(differences.values()) <= 1e-4
    inside.start_run(f"{NAME}copy", epochs=1, repeats=20, grid=False)
    inside.wait_for(lambda status: status["stage"] == "training" and status["step"] >= 1)
    found = inside.probe(SHARED)
    inside.call("/lora_trainer/v1/runs/current/stop", {"when": "now"})
    print(found)
    assert found["count"] > 500 and found["shared"] >= 0.95 * found["count"]
    assert inside.finished()["state"] == "stopped"
    assert inside.picture() == plain, "after a run stopped half-way"


def test_the_lora_gives_the_picture_that_our_own_modules_give(inside: WebUI) -> None:
    name, prompt = f"{NAME}equal", "red cat, blue background"
    inside.start_run(name, epochs=1, repeats=2, grid=False, unet_lr=1e-2, text_encoder_lr=1e-3)
    assert inside.finished()["state"] == "finished"
    drawing = {"prompt": prompt, "seed": 1, "steps": 6, "cfg_scale": 5.0, "width": 128, "height": 128}
    code = f"FILE, DRAWING = {f'{name}-000001.safetensors'!r}, {drawing!r}\n" + OURS
    ours = np.frombuffer(base64.b64decode(inside.probe(code)), np.uint8).astype(int)
    theirs, plain = (
        np.frombuffer(inside.picture(text), np.uint8).astype(int)
        for text in (f"{prompt}<lora:{name}-000001:1>", prompt)
    )
    print(
        f"mean difference {abs(ours - theirs).mean():.3f} of 255, to the picture without {abs(ours - plain).mean():.1f}"
    )
    assert abs(ours - theirs).mean() <= 2 < abs(ours - plain).mean()


def test_pictures_are_the_same_bytes_after_a_run(webui: WebUI, trained: dict[str, Any], plain: bytes) -> None:
    assert webui.picture() == plain


def test_a_lora_merged_before_a_run_leaves_no_trace(webui: WebUI, trained: dict[str, Any], plain: bytes) -> None:
    prompt = f"red cat <lora:{NAME}-000002:1>"
    with_lora = webui.picture(prompt)
    webui.start_run(f"{NAME}merged", epochs=1, grid=False)
    assert webui.finished()["state"] == "finished"
    assert webui.picture(prompt) == with_lora
    assert webui.picture() == plain


def test_a_run_that_raises_leaves_no_trace(inside: WebUI, trained: dict[str, Any], plain: bytes) -> None:
    inside.picture(f"red cat <lora:{NAME}-000002:1>")
    inside.probe(RAISE)
    inside.start_run(f"{NAME}raised", grid=False)
    status = inside.finished()
    assert status["state"] == "failed" and "made by the tests" in status["detail"]
    assert inside.picture() == plain


def test_the_webui_shows_the_progress_and_its_button_stops_the_run(webui: WebUI, plain: bytes) -> None:
    webui.start_run(f"{NAME}button", epochs=1, repeats=50, grid=False)
    webui.wait_for(lambda status: status["stage"] == "training" and status["step"] >= 2)
    progress = webui.call("/sdapi/v1/progress?skip_current_image=true")
    assert 0 < progress["progress"] < 1 and "1" in progress["textinfo"]
    assert progress["state"]["job"] == "lora_trainer"
    webui.call("/sdapi/v1/interrupt", {})
    assert webui.finished()["state"] == "stopped"
    assert webui.picture() == plain
