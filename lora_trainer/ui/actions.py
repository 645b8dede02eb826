"""What the tab's buttons do. This is an outer edge: whatever goes wrong is logged and shown beside the form."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from lora_trainer.errors import UserError
from lora_trainer.language import translate
from lora_trainer.settings import Settings
from lora_trainer.ui.forecast import forecast
from lora_trainer.ui.form import Form
from lora_trainer.api.runs import order
from lora_trainer.api.wording import Language, spoken

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

log = logging.getLogger(__name__)

Data = dict[gr.components.Component, Any]


@dataclass(frozen=True)
class Actions:
    """Click handlers; each gets the form's values and answers with what the box beside the buttons shows."""

    worker: Worker
    form: Form
    language: Language

    def check(self, data: Data, request: gr.Request) -> str:
        """Look at the images and say how much work there is."""
        language = self._language(request)
        return self._tried(data, language, lambda settings: said(forecast(settings, language)))

    def start(self, data: Data, request: gr.Request) -> str:
        """Begin a run; an empty answer when it has begun, for then the page shows it."""
        language = self._language(request)

        def begin(settings: Settings) -> str:
            self.worker.start(settings, language)
            return ""

        return self._tried(data, language, begin)

    def stop_now(self) -> None:
        """Stop after the step at hand."""
        order(self.worker, "now")

    def stop_after_epoch(self) -> None:
        """Stop when the epoch at hand is saved."""
        order(self.worker, "after_epoch")

    def _tried(self, data: Data, language: str, act: Callable[[Settings], str]) -> str:
        try:
            return act(self.form.settings(data))
        except UserError as error:
            return problem(error.text(language), error.field)
        except Exception as error:
            log.exception("the tab could not do that")
            return problem(translate("ui.unexpected", language, reason=error))

    def _language(self, request: gr.Request | None) -> str:
        """The host's or the browser's; gradio has no request for an event of its own."""
        headers = getattr(request, "headers", None) or {}
        return spoken(self.language, headers.get("accept-language", ""))


def said(text: str) -> str:
    """A sentence for the box beside the buttons."""
    return f'<div class="lt-message" role="status">{escape(text)}</div>'


def problem(text: str, field: str | None = None) -> str:
    """The same, as a problem; the script marks the widget of the setting ``field``."""
    mark = f' data-field="{escape(field, quote=True)}"' if field else ""
    return f'<div class="lt-message lt-problem" role="alert"{mark}>{escape(text)}</div>'
