"""Kohya's prompts for previews: a line is ``prompt --n negative --w 512 --h 768 --d seed --l scale --s steps``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lora_trainer.errors import BadSettings
from lora_trainer.interop.files import find, parse, read_bytes
from lora_trainer.interop.reading import Reading
from lora_trainer.settings import Settings

OPTIONS = {
    "n": "negative_prompt",
    "w": "sample_width",
    "h": "sample_height",
    "d": "sample_seed",
    "l": "cfg_scale",
    "s": "sample_steps",
}
LONG_NAMES = {"negative_prompt": "n", "width": "w", "height": "h", "seed": "d", "scale": "l", "sample_steps": "s"}
SUFFIXES = (".txt", ".json", ".toml")
MAX_BYTES = 1_000_000


def read_prompts(reading: Reading, beside: Path) -> None:
    """Settle ``sample_prompts``, a file (looked for beside the config, too) or the prompts themselves."""
    text = reading.text("sample_prompts")
    if not text:
        return
    prompts: list[dict[str, Any]] = []
    if text.lower().endswith(SUFFIXES) and "\n" not in text:
        try:
            prompts = _of_file(text, beside)
        except BadSettings:
            reading.ignore("sample_prompts", "prompt_file")
            return
    else:
        prompts = _of_lines(text)
    _settle(reading, [prompt for prompt in prompts if str(prompt.get("prompt", "")).strip()])


def _settle(reading: Reading, prompts: list[dict[str, Any]]) -> None:
    key, value = reading.key("sample_prompts"), reading.value("sample_prompts")
    if not prompts:
        reading.ignore("sample_prompts", "prompt_file")
        return
    reading.take("sample_prompts", "sample_prompts", [str(prompt["prompt"]).strip() for prompt in prompts])
    for option, setting in OPTIONS.items():
        given = [prompt.get(option) for prompt in prompts]
        first = next((one for one in given if one is not None), None)
        if first is not None:
            reading.also(f"{key} --{option}", first, setting, first)
        if any(one != first for one in given):
            reading.differ(f"{key} --{option}", value, "prompt_options", setting=setting)


def _of_file(name: str, beside: Path) -> list[dict[str, Any]]:
    path = find(name, beside) or Path(name)
    text = read_bytes(path, MAX_BYTES).decode("utf-8", errors="replace")
    if path.suffix.lower() == ".txt":
        return _of_lines(text)
    content = parse(text, path)
    common = content.get("prompt", {}) if isinstance(content, dict) else {}
    entries = common.get("subset", []) if isinstance(common, dict) else content
    shared = {key: value for key, value in common.items() if key != "subset"} if isinstance(common, dict) else {}
    rows = [{**shared, **row} for row in entries if isinstance(row, dict)] if isinstance(entries, list) else []
    return [{LONG_NAMES.get(key, key): value for key, value in row.items()} for row in rows]


def _of_lines(text: str) -> list[dict[str, Any]]:
    lines = (line.strip() for line in text.splitlines())
    return [_of_line(line) for line in lines if line and not line.startswith("#")]


def _of_line(line: str) -> dict[str, Any]:
    prompt, *options = re.split(r"\s--(?=[a-z]+\s)", line)
    found: dict[str, Any] = {"prompt": prompt}
    for option in options:
        name, _, value = option.partition(" ")
        found[name] = value.strip()
    return found


def prompt_lines(settings: Settings) -> list[str]:
    """The previews of a run as kohya's lines."""
    samples, side = settings.samples, settings.data.resolution
    options = {
        "n": samples.negative_prompt,
        "w": samples.sample_width or side,
        "h": samples.sample_height or side,
        "d": samples.sample_seed,
        "l": samples.cfg_scale,
        "s": samples.sample_steps,
    }
    tail = " ".join(f"--{name} {value}" for name, value in options.items() if value != "")
    return [f"{' '.join(prompt.split())} {tail}" for prompt in samples.sample_prompts]
