"""The tab in the WebUI: the place that our page fills, and what only gradio can give it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import gradio as gr

from lora_trainer.language import English, Language, fixed, translate

Paste = Callable[[gr.Button, gr.Textbox], None]


def build(paste: Paste | None = None, language: Language = None) -> gr.Blocks:
    """The tab. ``paste`` makes a button send the infotext in a box to txt2img, which the page fills and presses.

    Everything else is the page's own, so that it is the same in every version of gradio.
    """
    own = fixed(language) or English
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.HTML(f'<div id="lora_trainer" data-host="webui"><p>{escape(translate("tab.loading", own))}</p></div>')
        if paste:
            _add_sending(paste)
    for block in blocks.blocks.values():
        block.do_not_save_to_config = True  # the WebUI would freeze today's values in its ui-config.json
    return blocks


def build_missing(text: str, language: Language = None) -> gr.Blocks:
    """The tab when the extension cannot work: says why, and what to do."""
    own = fixed(language) or English
    title, missing = (escape(translate(f"tab.{key}", own)) for key in ("title", "missing"))
    with gr.Blocks(analytics_enabled=False) as blocks, gr.Column(elem_id="lora_trainer_missing"):
        gr.HTML(f'<h2>{title}</h2><p>{missing}</p><p role="alert">{escape(text)}</p>')
    return blocks


def _add_sending(paste: Paste) -> None:
    """The button that fills the X/Y/Z plot, and the box that the page writes the infotext into; the style hides both.

    Not ``visible=False``: gradio would leave them out of the page, where the page's script could not reach them.
    """
    with gr.Row(elem_id="lora_trainer_sending"):
        send = gr.Button("-", elem_id="lora_trainer_send_xyz")
        infotext = gr.Textbox(elem_id="lora_trainer_infotext", show_label=False, container=False)
    paste(send, infotext)
