"""The tab as gradio builds it: the place for our page, and the way to the WebUI's X/Y/Z plot."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lora_trainer.ui.tab import build, build_missing


def ids(blocks: gr.Blocks) -> set[str]:
    return {block.elem_id for block in blocks.blocks.values() if block.elem_id}


def html(blocks: gr.Blocks) -> str:
    return "".join(block.value for block in blocks.blocks.values() if isinstance(block, gr.HTML))


def test_the_page_has_its_place() -> None:
    assert '<div id="lora_trainer" ' in html(build())
    assert not {"lora_trainer_send_xyz", "lora_trainer_infotext"} & ids(build())


def test_the_webui_gets_the_button_that_sends_to_its_plot() -> None:
    pasted: list[tuple[Any, Any]] = []
    blocks = build(paste=lambda button, box: pasted.append((button, box)))
    ((button, box),) = pasted
    assert (button.elem_id, box.elem_id) == ("lora_trainer_send_xyz", "lora_trainer_infotext")
    assert {"lora_trainer_send_xyz", "lora_trainer_infotext", "lora_trainer_sending"} <= ids(blocks)


def test_gradio_has_nothing_to_do() -> None:
    assert build(paste=lambda button, box: None).dependencies == []


def test_nothing_is_frozen_in_the_webuis_settings() -> None:
    assert all(block.do_not_save_to_config for block in build(paste=lambda button, box: None).blocks.values())


def test_the_hosts_language_is_built_in() -> None:
    assert "正在加载" in html(build(language=lambda: "zh_CN"))


def test_a_trainer_that_cannot_work_says_why() -> None:
    shown = html(build_missing("peft is missing: run <pip>", language="zh"))
    assert "peft is missing: run &lt;pip&gt;" in shown
    assert 'role="alert"' in shown and "WebUI 本身不受影响" in shown
