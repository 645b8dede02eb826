"""Widgets made from the settings, one each, and their values made into settings again."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import gradio as gr

from lora_trainer.errors import BadSettings
from lora_trainer.language import English, translate
from lora_trainer.settings import Settings, fields, from_flat, groups, to_flat
from lora_trainer.api.wording import hint

NAMED = ("images", "trigger", "name")  # what only the user can know: they stand first and are always shown


@dataclass
class Form:
    """The widgets by setting; ``place`` makes them where gradio's context stands."""

    language: str = English
    widgets: dict[str, gr.components.Component] = field(default_factory=dict)

    def place(self, names: Sequence[str]) -> None:
        """Make the widgets of these settings here."""
        for name in names:
            self.widgets[name] = widget(name, self.language)

    def settings(self, data: Mapping[gr.components.Component, Any]) -> Settings:
        """Settings from the values of a gradio event with all widgets as a set of inputs. Raises ``BadSettings``."""
        return from_flat({name: read(name, data[widget]) for name, widget in self.widgets.items()})


def basic_names() -> list[str]:
    """The settings that are always shown, without those in ``NAMED``."""
    return [name for name, (_, field) in fields().items() if field.metadata.get("basic") and name not in NAMED]


def folded_names() -> dict[str, list[str]]:
    """The other settings, by group."""
    shown = {*NAMED, *basic_names()}
    return {
        group: [f.name for f in dataclasses.fields(kind) if f.name not in shown] for group, kind in groups().items()
    }


def widget(name: str, language: str = English) -> gr.components.Component:
    """The widget of a setting, with its default in it."""
    default, about = to_flat(Settings())[name], fields()[name][1]
    common: dict[str, Any] = {
        "label": translate(f"setting.{name}.label", language),
        "info": hint(name, language),
        "elem_id": f"lora_trainer_{name}",
        "interactive": True,
    }
    if isinstance(default, bool):
        return gr.Checkbox(default, **common)
    if choices := about.metadata.get("choices"):
        return gr.Dropdown(list(choices), value=default, **common)
    if suggestions := about.metadata.get("suggestions"):
        return gr.Dropdown(list(suggestions), value=default, allow_custom_value=True, **common)
    if isinstance(default, (int, float)):
        return gr.Number(default, step=_step(name, default), **common)
    if isinstance(default, tuple):
        of_numbers = _of_numbers(name)
        text = ", ".join(f"{number:g}" for number in default) if of_numbers else "\n".join(default)
        return gr.Textbox(text, lines=1 if of_numbers else 3, **common)
    return gr.Textbox(default, max_lines=1, **common)


def read(name: str, value: Any) -> Any:
    """A widget's value as its setting has it. Raises ``BadSettings``; what else does not fit, the settings refuse."""
    default = to_flat(Settings())[name]
    if isinstance(default, tuple):
        return _numbers(name, value or "") if _of_numbers(name) else _lines(value or "")
    if isinstance(default, str):
        return (value or "").strip()
    if value is None:
        raise BadSettings("setting_empty", field=name, name=name)
    whole = isinstance(default, int) and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def _of_numbers(name: str) -> bool:
    return get_type_hints(groups()[fields()[name][0]])[name] == tuple[float, ...]


def _step(name: str, default: float) -> float:
    """How far the arrows of a number's box go: a tenth of the default's magnitude, and little for learning rates."""
    if isinstance(default, int):
        return 1
    if name.endswith("_lr"):
        return 1e-5
    return float(10 ** (math.floor(math.log10(default)) - 1)) if default else 0.01


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _numbers(name: str, text: str) -> tuple[float, ...]:
    parts = [part for part in re.split(r"[,\s，、;；]+", text) if part]
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        raise BadSettings("setting_numbers", field=name, name=name, value=text) from None
