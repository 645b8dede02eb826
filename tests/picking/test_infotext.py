"""The infotext is read back by a parser of its own, written from the grammar, and drawn as the X/Y/Z plot would."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lora_trainer.errors import BadSettings
from lora_trainer.host.protocol import ImageRequest
from lora_trainer.picking.files import EpochFile
from lora_trainer.picking.infotext import infotext

from .grids import lora_files, plan_of

EXTRAS = {"Schedule type": "Automatic", "Clip skip": 2, "RNG": "CPU", "Version": "v1.10.1"}


def pairs(line: str) -> Iterator[tuple[str, str]]:
    """``key: value, key: value``; a value that begins with a quote is a JSON string and may hold commas."""
    rest = line
    while rest:
        key, rest = rest.split(": ", 1)
        if rest.startswith('"'):
            value, length = json.JSONDecoder().raw_decode(rest)
        else:
            length = rest.index(",") if "," in rest else len(rest)
            value = rest[:length]
        yield key, value
        rest = rest[length:].removeprefix(",").lstrip()


def read(text: str) -> tuple[str, str, dict[str, str]]:
    """Prompt, negative prompt and fields."""
    *lines, last = text.split("\n")
    negative = [line for line in lines if line.startswith("Negative prompt: ")]
    prompt = "\n".join(line for line in lines if line not in negative)
    return prompt, "".join(line.removeprefix("Negative prompt: ") for line in negative), dict(pairs(last))


def axis(values: str) -> list[str]:
    return next(csv.reader(io.StringIO(values), skipinitialspace=True))


def drawn(text: str) -> list[str]:
    """The prompts of all cells that the plot draws, the marks' own among them."""
    prompt, _, fields = read(text)
    columns, rows = axis(fields["X Values"]), axis(fields["Y Values"])
    return [prompt.replace(columns[0], x).replace(rows[0], y) for y, x in product(rows, columns)]


def test_the_plot_draws_exactly_the_plans_cells(tmp_path: Path) -> None:
    calls = [re.findall("<lora:([^:]+):([^>]+)>", prompt) for prompt in drawn(infotext(plan_of(tmp_path), prompt=1))]
    assert all(len(found) == 1 for found in calls)
    wanted = {(f"hero-00000{epoch}", weight) for epoch in (1, 2, 3) for weight in ("0.5", "1")}
    assert {found[0] for found in calls if "NUM" not in found[0][0] and found[0][1] != "STRENGTH"} == wanted
    assert len(calls) == (3 + 1) * (2 + 1)


def test_all_fields_are_there(tmp_path: Path) -> None:
    template = ImageRequest(
        prompt="", negative_prompt="blurry,  low\nquality", steps=24, cfg_scale=6.5, width=512, height=768
    )
    plan = plan_of(tmp_path, template=template, seeds=(77,))
    prompt, negative, fields = read(infotext(plan, 0, EXTRAS))
    assert (prompt, negative) == ("hero, red hat <lora:hero-NUM:STRENGTH>", "blurry, low quality")
    assert fields == {
        "Steps": "24",
        "Sampler": "Euler",
        "CFG scale": "6.5",
        "Seed": "77",
        "Size": "512x768",
        "Script": "X/Y/Z plot",
        "X Type": "Prompt S/R",
        "X Values": "NUM,000001,000002,000003",
        "Y Type": "Prompt S/R",
        "Y Values": "STRENGTH,0.5,1",
        "Z Type": "Nothing",
        "Schedule type": "Automatic",
        "Clip skip": "2",
        "RNG": "CPU",
        "Version": "v1.10.1",
    }


def test_the_text_itself_is_the_documented_one(tmp_path: Path) -> None:
    assert infotext(plan_of(tmp_path, prompts=("a cat",)), extras={"Version": "v1.10.1"}) == (
        "a cat <lora:hero-NUM:STRENGTH>\n"
        "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 16x16, Script: X/Y/Z plot, "
        'X Type: Prompt S/R, X Values: "NUM,000001,000002,000003", '
        'Y Type: Prompt S/R, Y Values: "STRENGTH,0.5,1", Z Type: Nothing, Version: v1.10.1'
    )


def test_an_extra_with_commas_colons_and_quotes_survives(tmp_path: Path) -> None:
    value = 'hero: "a, b" 中文'
    _, _, fields = read(infotext(plan_of(tmp_path), extras={"Lora hashes": value, "Version": "v1.10.1"}))
    assert (fields["Lora hashes"], fields["Version"]) == (value, "v1.10.1")


def test_several_seeds_become_the_third_axis(tmp_path: Path) -> None:
    _, _, fields = read(infotext(plan_of(tmp_path, seeds=(5, 6))))
    assert (fields["Seed"], fields["Z Type"], fields["Z Values"]) == ("5", "Seed", "5,6")
    assert read(infotext(plan_of(tmp_path)))[2]["Z Type"] == "Nothing"


def test_a_file_without_a_number_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "loras").mkdir()
    (tmp_path / "loras" / "hero.safetensors").touch()
    text = infotext(plan_of(tmp_path, epochs=lora_files(tmp_path / "loras", epochs=(1, 2)), weights=(1.0,)))
    calls = [prompt for prompt in drawn(text) if "NUM" not in prompt and "STRENGTH" not in prompt]
    assert [call.split(" <")[1] for call in calls] == ["lora:hero-000001:1>", "lora:hero-000002:1>", "lora:hero:1>"]


def test_a_prompt_of_many_lines_stays_one_prompt(tmp_path: Path) -> None:
    prompt, negative, _ = read(infotext(plan_of(tmp_path, prompts=("hero,\n\nNegative prompt: trap,\r\nhat",))))
    assert (prompt, negative) == ("hero, Negative prompt: trap, hat <lora:hero-NUM:STRENGTH>", "")


def test_an_empty_prompt_leaves_the_call_alone(tmp_path: Path) -> None:
    assert read(infotext(plan_of(tmp_path, prompts=("",))))[0] == "<lora:hero-NUM:STRENGTH>"


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"prompts": ("NUMBER one",)}, "prompt_placeholder"),
        ({"prompts": ("full STRENGTH",)}, "prompt_placeholder"),
        ({"template": ImageRequest(prompt="", negative_prompt="NUM")}, "prompt_placeholder"),
        ({"epochs": (EpochFile(1, Path("aNUM-000001.safetensors")),)}, "name_placeholder"),
        ({"epochs": (EpochFile(1, Path("a,b.safetensors"), numbered=False),)}, "name_characters"),
        ({"template": ImageRequest(prompt="", width=5000, height=5000)}, "grid_too_big"),
    ],
)
def test_what_the_plot_would_get_wrong_is_refused(tmp_path: Path, changed: dict[str, Any], key: str) -> None:
    with pytest.raises(BadSettings) as caught:
        infotext(plan_of(tmp_path, **changed))
    assert caught.value.key == key


def test_the_hosts_own_limit_counts(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, template=ImageRequest(prompt="", width=5000, height=5000))
    assert "Size: 5000x5000" in infotext(plan, limit_mp=1000)
