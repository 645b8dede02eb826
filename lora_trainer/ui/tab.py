"""The tab: the form on one side, the run on the other."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from lora_trainer.language import English, translate
from lora_trainer.ui.actions import Actions, problem
from lora_trainer.ui.form import NAMED, Form, basic_names, folded_names
from lora_trainer.api.wording import Language, fixed

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

Paste = Callable[[gr.Button, gr.Textbox], None]


def build(worker: Worker, paste: Paste | None = None, language: Language = None) -> gr.Blocks:
    """The tab. ``paste`` makes a button send the infotext in a box to txt2img; without it there is no such button.

    Static texts are in the host's language, or else in English until the page's script knows the browser's.
    """
    own = fixed(language) or English
    form = Form(own)
    with gr.Blocks(analytics_enabled=False) as blocks, gr.Column(elem_id="lora_trainer"):
        gr.HTML(_head(own, prescribed=fixed(language) is not None))
        with gr.Row(elem_classes="lt-columns"):
            with gr.Column(elem_classes="lt-form"):
                _add_form(form, Actions(worker, form, language))
            with gr.Column(elem_classes="lt-run"):
                _add_run(own, Actions(worker, form, language), paste)
    for block in blocks.blocks.values():
        block.do_not_save_to_config = True  # the WebUI would freeze today's defaults in its ui-config.json
    return blocks


def build_missing(text: str, language: Language = None) -> gr.Blocks:
    """The tab when the extension cannot work: says why, and what to do."""
    own = fixed(language) or English
    with gr.Blocks(analytics_enabled=False) as blocks, gr.Column(elem_id="lora_trainer_missing"):
        gr.HTML(f"<h2>{escape(_say('title', own))}</h2><p>{escape(_say('missing', own))}</p>{problem(text)}")
    return blocks


def _say(key: str, language: str) -> str:
    return translate(f"ui.{key}", language)


def _head(language: str, prescribed: bool) -> str:
    return (
        f'<header class="lt-head" data-language="{language}" data-prescribed="{str(prescribed).lower()}">'
        f"<h2>{escape(_say('title', language))}</h2><p>{escape(_say('purpose', language))}</p>"
        '<p id="lora_trainer_checkpoint"></p></header>'
    )


def _heading(key: str, language: str) -> None:
    gr.HTML(f"<h3>{escape(_say(key, language))}</h3>", elem_classes="lt-heading")


def _add_form(form: Form, actions: Actions) -> None:
    """All settings, and the buttons that use them."""
    language = form.language
    _heading("form", language)
    form.place(NAMED)
    with gr.Row(elem_classes="lt-basics"):
        form.place(basic_names())
    box = gr.HTML(elem_id="lora_trainer_message")
    with gr.Row(elem_classes="lt-buttons"):
        start = gr.Button(_say("start", language), variant="primary", elem_id="lora_trainer_start")
        check = gr.Button(_say("check", language), elem_id="lora_trainer_check")
    gr.HTML(f"<h4>{escape(_say('more', language))}</h4>", elem_classes="lt-heading")
    for group, names in folded_names().items():
        if names:
            with gr.Accordion(_say(f"group_{group}", language), open=False, elem_id=f"lora_trainer_group_{group}"):
                form.place(names)
    widgets = set(form.widgets.values())
    start.click(actions.start, inputs=widgets, outputs=box, queue=False, api_name=False)
    check.click(actions.check, inputs=widgets, outputs=box, queue=False, api_name=False)


def _add_run(language: str, actions: Actions, paste: Paste | None) -> None:
    """Places that the page's script fills, and the buttons that belong to them."""
    _heading("run", language)
    gr.HTML('<div id="lora_trainer_progress"></div>')
    with gr.Row(elem_classes="lt-buttons lt-stops"):
        after_epoch = gr.Button(_say("stop_after_epoch", language), elem_id="lora_trainer_stop_after_epoch")
        now = gr.Button(_say("stop_now", language), variant="stop", elem_id="lora_trainer_stop_now")
    after_epoch.click(actions.stop_after_epoch, inputs=None, outputs=None, queue=False, api_name=False)
    now.click(actions.stop_now, inputs=None, outputs=None, queue=False, api_name=False)
    gr.HTML('<div id="lora_trainer_choice"></div>')
    with gr.Row(elem_classes="lt-buttons lt-uses"):
        gr.Button(_say("use", language), variant="primary", elem_id="lora_trainer_use")
        if paste:
            _add_sending(language, paste)
    gr.HTML('<div id="lora_trainer_results"></div><div id="lora_trainer_details"></div>')


def _add_sending(language: str, paste: Paste) -> None:
    """The button that fills the X/Y/Z plot, and the box that the script keeps the infotext in; the style hides it.

    Not ``visible=False``: gradio would leave it out of the page, where the script could not reach it.
    """
    send = gr.Button(_say("send_xyz", language), elem_id="lora_trainer_send_xyz")
    infotext = gr.Textbox(elem_id="lora_trainer_infotext", show_label=False, container=False)
    paste(send, infotext)
