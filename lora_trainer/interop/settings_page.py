"""The page of all settings, ``docs/settings.md``, made from the settings themselves and their translations:
``python -m lora_trainer.interop.settings_page``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from lora_trainer.disk import write_whole
from lora_trainer.interop.names import kohya_name
from lora_trainer.language import Chinese, English, translate
from lora_trainer.settings import groups, help_texts

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "settings.md"
INTRODUCTION = """# All settings · 全部设置

Names are those of the settings file (`--config`), of the command line (`--name value`, with `-` for `_`) and of the
API. Where kohya's sd-scripts have the same setting, their name stands beside it; `python -m lora_trainer import FILE`
reads their configs, and `python -m lora_trainer train --export-kohya FOLDER` writes them.

这里的名称用于设置文件（`--config`）、命令行（`--名称 值`，`_` 写成 `-`）和 API。如果 kohya 的 sd-scripts 有相同的设置，
旁边会列出它的名称；`python -m lora_trainer import 文件` 读取它们的配置，
`python -m lora_trainer train --export-kohya 文件夹` 写出配置。

This page is made from the program: `python -m lora_trainer.interop.settings_page`. 本页由程序生成。
"""
HEAD = """| Setting · 设置 | sd-scripts | Default · 默认值 | Values · 取值 | Meaning · 含义 |
| --- | --- | --- | --- | --- |"""


def page() -> str:
    """The page as Markdown, a table a group."""
    parts = [INTRODUCTION]
    for name, kind in groups().items():
        title = f"## {translate(f'ui.group_{name}', English)} · {translate(f'ui.group_{name}', Chinese)}"
        rows = [_row(field) for field in dataclasses.fields(kind)]
        parts.append("\n".join([title, "", HEAD, *rows, ""]))
    return "\n".join(parts)


def _row(field: dataclasses.Field[Any]) -> str:
    name = field.name
    label = translate(f"setting.{name}.label", Chinese)
    meaning = f"{help_texts()[name]}<br>{translate(f'setting.{name}.help', Chinese)}"
    kohya = kohya_name(name)
    cells = (
        f"`{name}`<br>{label}",
        f"`{kohya}`" if kohya else "",
        _code(_shown(field.default)),
        _limits(field),
        meaning,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _limits(field: dataclasses.Field[Any]) -> str:
    choices, suggestions, low, high = (field.metadata.get(key) for key in ("choices", "suggestions", "low", "high"))
    if named := choices or suggestions:
        listed = ", ".join(_code(str(one)) for one in named)
        return listed if choices else f"{listed}, …"
    if isinstance(field.default, bool):
        return "`true`, `false`"
    unit = field.metadata.get("unit")
    said = f" {translate(f'unit.{unit}', English)} · {translate(f'unit.{unit}', Chinese)}" if unit else ""
    return f"{low:g} … {high:g}{said}" if low is not None and high is not None else ""


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    write_whole(PAGE, page())
