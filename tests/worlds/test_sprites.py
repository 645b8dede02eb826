"""The Sprites world: the oracle reads back what was drawn, clean and noised; the shipped sets are the script's."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from PIL import Image

from worlds.sprites.concepts import SETS, TRIGGERS, write_set
from worlds.sprites.figures import CHARACTERS, FIGURES
from worlds.sprites.oracle import concept_match, prompt_match, read
from worlds.sprites.palette import COLOURS
from worlds.sprites.scene import random_scene, render, tags

READ = ("subject", "colour", "background", "size", "place", "hat", "border")


def noised(image: Image.Image, amount: float, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, amount, (128, 128, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def test_the_world_is_large_enough() -> None:
    assert len(FIGURES) >= 8
    assert len(COLOURS) >= 8
    assert len(CHARACTERS) == 3


@pytest.mark.parametrize("amount", [0.0, 40.0])
def test_the_oracle_reads_every_attribute(amount: float) -> None:
    for seed in range(25):
        scene = random_scene(random.Random(seed))
        picture = noised(render(scene), amount, seed)
        reading = read(picture)
        assert {name: getattr(reading, name) for name in READ} == {name: getattr(scene, name) for name in READ}
        assert prompt_match(picture, ", ".join(tags(scene))) == 1.0


def test_a_wrong_picture_scores_low() -> None:
    pairs = [(random_scene(random.Random(i)), random_scene(random.Random(1000 + i))) for i in range(25)]
    assert fmean(prompt_match(render(shown), ", ".join(tags(asked))) for asked, shown in pairs) < 0.4


@pytest.mark.parametrize("name", sorted(CHARACTERS))
def test_concepts_are_recognised_and_not_confused(name: str) -> None:
    for seed in range(6):
        assert concept_match(noised(render(random_scene(random.Random(seed), name)), 40.0, seed), name) == 1.0
    others = [random_scene(random.Random(seed), other) for seed in range(3) for other in CHARACTERS if other != name]
    base = [random_scene(random.Random(seed)) for seed in range(12)]
    assert max(concept_match(render(scene), name) for scene in others + base) <= 0.5


def test_scenes_come_from_their_seed() -> None:
    assert random_scene(random.Random(5)) == random_scene(random.Random(5))
    assert len({random_scene(random.Random(seed)) for seed in range(50)}) > 45


@pytest.mark.parametrize("name", sorted(CHARACTERS))
def test_the_shipped_sets_are_what_the_script_writes(tmp_path: Path, name: str) -> None:
    write_set(name, tmp_path)
    shipped = SETS / name
    assert len(list(shipped.glob("*.png"))) == 20
    for fresh in tmp_path.iterdir():
        if fresh.suffix == ".png":
            with Image.open(fresh) as one, Image.open(shipped / fresh.name) as other:
                assert np.array_equal(np.asarray(one), np.asarray(other)), fresh.name
                assert concept_match(other, name) == 1.0
        else:
            caption = (shipped / fresh.name).read_text(encoding="utf-8")
            assert caption == fresh.read_text(encoding="utf-8")
            assert TRIGGERS[name] not in caption
