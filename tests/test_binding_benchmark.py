"""The parts of the binding benchmark that need no training: its sets, its prompts and how it counts hats."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.binding import TAG, prompts, verdict, wears_hat, with_hat, write_sets
from lora_trainer.dataset.captions import tags
from worlds.sprites.concepts import COUNT, TRIGGERS
from worlds.sprites.figures import CHARACTERS
from worlds.sprites.scene import random_scene, render


def test_the_sets_differ_in_one_tag_alone(tmp_path: Path) -> None:
    sets = write_sets(tmp_path, "robot")
    kept, removed = (sorted(sets[name].glob("*.txt")) for name in ("kept", "removed"))
    assert len(kept) == len(removed) == COUNT
    for with_tag, without in zip(kept, removed, strict=True):
        found = tags(with_tag.read_text())
        assert found[0] == TRIGGERS["robot"]
        assert tags(without.read_text()) == [tag for tag in found if tag != TAG] != found
        assert with_tag.with_suffix(".png").read_bytes() == without.with_suffix(".png").read_bytes()
        with Image.open(with_tag.with_suffix(".png")) as picture:
            assert wears_hat(picture)


@pytest.mark.parametrize("character", sorted(CHARACTERS))
def test_only_the_hat_counts(character: str) -> None:
    rng = random.Random(3)
    noise = np.random.default_rng(3)
    for _ in range(15):
        scene = with_hat(random_scene(rng, character), rng)
        bare = replace(scene, hat=None)
        other = replace(scene, hat="pink", background="blue", border=None)
        green = replace(bare, background="green")
        for one, worn in ((scene, True), (bare, False), (other, False), (green, False)):
            pixels = np.asarray(render(one)) + noise.normal(0, 30, (128, 128, 3))
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            assert wears_hat(picture) == worn, one


def test_no_prompt_asks_for_the_hat() -> None:
    asked = prompts("robot", 40)
    assert len(asked) == 40
    assert all(prompt.startswith(f"{TRIGGERS['robot']}, ") for prompt in asked)
    assert all("green" not in prompt and "hat" not in prompt.split() for prompt in asked)


def test_the_verdict_names_the_goal() -> None:
    assert verdict("removed", 0.9, 1.0).endswith("yes |")
    assert verdict("removed", 0.89, 1.0).endswith("NO |")
    assert verdict("kept", 0.2, 0.8).endswith("yes |")
    assert verdict("kept", 0.9, 1.0).endswith("NO |")
