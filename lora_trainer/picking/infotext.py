"""The grid as an infotext that fills the WebUI's own X/Y/Z plot (D7, the second way to draw it).

Grammar: the prompt; a line ``Negative prompt: …``; a last line of ``key: value`` pairs, separated by commas, in which a
value that holds a comma, a colon, a quote or a line break is written as a JSON string. An axis ``Prompt S/R`` replaces
its first value by each of the others, everywhere in both prompts; the first column and row keep the mark, find no such
LoRA and so show the base model.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence

from lora_trainer.errors import BadSettings
from lora_trainer.picking.files import EPOCH_MARK, NUMBERED, WEIGHT_MARK, check_name, epoch_tag
from lora_trainer.picking.plan import IMG_MAX_SIZE_MP, GridPlan, check_size, weight_text


def infotext(
    plan: GridPlan, prompt: int = 0, extras: Mapping[str, object] | None = None, limit_mp: float = IMG_MAX_SIZE_MP
) -> str:
    """The infotext of one prompt's grid.

    ``extras`` are the host's own fields (Version, Schedule type, Clip skip, RNG …): one that is missing means the
    WebUI's default there, not what the user has set. Raises ``BadSettings`` when the plot would refuse the grid, or
    replace something that is not meant.
    """
    check_size(plan, limit_mp)
    call, names = _call(plan)
    template = plan.template
    text, negative = (" ".join(words.split()) for words in (plan.prompts[prompt], template.negative_prompt))
    for words in (text, negative):
        if mark := next((mark for mark in (EPOCH_MARK, WEIGHT_MARK) if mark in words), None):
            raise BadSettings("prompt_placeholder", field="sample_prompts", prompt=words, mark=mark)

    values: dict[str, object] = {
        "Steps": template.steps,
        "Sampler": template.sampler,
        "CFG scale": f"{template.cfg_scale:g}",
        "Seed": plan.seeds[0],
        "Size": f"{template.width}x{template.height}",
        "Script": "X/Y/Z plot",
        "X Type": "Prompt S/R",
        "X Values": _listed([EPOCH_MARK, *names]),
        "Y Type": "Prompt S/R",
        "Y Values": _listed([WEIGHT_MARK, *map(weight_text, plan.weights)]),
    }
    if len(plan.seeds) > 1:
        values |= {"Z Type": "Seed", "Z Values": _listed(list(map(str, plan.seeds)))}
    else:
        values["Z Type"] = "Nothing"  # unnamed, the axis would keep what the user had there before
    values |= extras or {}
    lines = [f"{text} {call}".strip(), *([f"Negative prompt: {negative}"] if negative else [])]
    return "\n".join([*lines, ", ".join(f"{key}: {_quoted(str(value))}" for key, value in values.items())])


def _call(plan: GridPlan) -> tuple[str, list[str]]:
    """The LoRA's call with both marks, and what replaces the first mark: numbers, or names where one has no number."""
    stems = [NUMBERED.fullmatch(file.lora) if file.numbered else None for file in plan.epochs]
    names = {stem["name"] for stem in stems if stem}
    if None in stems or len(names) > 1:
        for file in plan.epochs:
            check_name(file.lora)
        return f"<lora:{EPOCH_MARK}:{WEIGHT_MARK}>", [file.lora for file in plan.epochs]
    name = names.pop()
    check_name(name)
    return f"<lora:{name}-{EPOCH_MARK}:{WEIGHT_MARK}>", [epoch_tag(file.epoch) for file in plan.epochs]


def _listed(values: Sequence[str]) -> str:
    """One line of comma-separated values."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ',:"\n') else value
