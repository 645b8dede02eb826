"""What a run learns from: the split, regularisation images beside it, places, and SDXL's sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lora_trainer.dataset.bench.enlarging import Crop, Mirror, derive
from lora_trainer.dataset.captions import Wording
from lora_trainer.dataset.checks import survey
from lora_trainer.dataset.checks.balance import dataset_of
from lora_trainer.dataset.examples import Dataset, Example, gather, placed, split, texts_of
from lora_trainer.dataset.loader import steps_per_epoch
from lora_trainer.dataset.scan import Item
from lora_trainer.errors import BadDataset
from lora_trainer.settings import CaptionSettings, DataSettings, Settings, changed

from .files import save, says

# Nothing may ever change these: a resumed run must go on with the same images held out.
PINNED_SPLIT = [1, 3, 10, 15]


def item(width: int, height: int, *flexible: str) -> Item:
    return Item(Path("图.png"), Wording(("sks",), flexible), width, height, 2, "g", 2)


@pytest.mark.parametrize(
    ("count", "share", "held"),
    [
        (20, 0.1, 2),
        (24, 0.1, 2),
        (26, 0.1, 3),
        (5, 0.1, 1),
        (6, 0.01, 1),
        (4, 0.5, 0),
        (20, 0.0, 0),
        (9, 0.5, 4),
        (0, 0.1, 0),
    ],
)
def test_share_held_out(count: int, share: float, held: int) -> None:
    train, held_out = split(range(count), share, seed=1)
    assert len(held_out) == held
    assert sorted(train + held_out) == list(range(count))
    assert (train, held_out) == (sorted(train), sorted(held_out))


def test_the_same_are_held_out_everywhere() -> None:
    assert split(range(20), 0.2, seed=42)[1] == PINNED_SPLIT
    assert len({tuple(split(range(20), 0.2, seed)[1]) for seed in range(20)}) > 10


@pytest.mark.parametrize("seed", range(20))
def test_a_family_stays_together(seed: int) -> None:
    items = [(parent, child) for parent in range(12) for child in range(1 + parent % 4)]
    train, held_out = split(items, 0.2, seed, family=lambda item: item[0])
    assert sorted(train + held_out) == items
    assert not {parent for parent, _ in train} & {parent for parent, _ in held_out}
    assert len(held_out) == 6  # a fifth of thirty


def test_families_that_are_too_large_for_the_share() -> None:
    items = [(parent, child) for parent in range(5) for child in range(10)]
    assert len(split(items, 0.1, 1, family=lambda item: item[0])[1]) == 10
    four = [item for item in items if item[0]]
    assert split(four, 0.1, 1, family=lambda item: item[0]) == (four, [])


@pytest.mark.parametrize("seed", range(10))
def test_what_was_made_of_an_image_is_not_learnt_while_that_is_held_out(tmp_path: Path, seed: int) -> None:
    for number in range(8):
        save(tmp_path / f"{number}.png", 100, 50 + number)
    crop = Crop(sizes=((40, 40),), focus=False)
    for number in (0, 1, 2):
        list(derive(tmp_path, [tmp_path / f"{number}.png"], crop))
    list(derive(tmp_path, [tmp_path / "0.png", tmp_path / "0_crop.png"], Mirror()))
    (tmp_path / "1.png").unlink()  # its crop has no parent any more
    (tmp_path / "0_crop.png").unlink()  # what lies between an image and its grandchild
    data = DataSettings(images=str(tmp_path), resolution=64, validation_split=0.3)
    found = gather(data, CaptionSettings(), seed)
    learnt, held_out = ({one.item.path.name[0] for one in part} for part in (found.learnt, found.held_out))
    assert held_out and not learnt & held_out
    settings = changed(Settings(), images=str(tmp_path), resolution=64, validation_split=0.3, seed=seed)
    same = dataset_of(survey(settings.data, settings.captions), settings)
    assert [one.item.path for one in same.held_out] == [one.item.path for one in found.held_out]


def test_regularisation_images_double_the_steps_and_are_never_held_out(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / "images" / f"{number}.png", caption=f"tag {number}")
    for number in range(7):
        save(tmp_path / "class" / "1_girl" / f"{number}.png")
    data = DataSettings(
        images=str(tmp_path / "images"), trigger="sks", repeats=3, validation_split=0.2, flip_aug=True, resolution=64
    )
    alone = gather(data, CaptionSettings(), seed=1)
    assert (len(alone.learnt), len(alone.held_out)) == (8, 2)

    data = replace(data, reg_data_dir=str(tmp_path / "class"))
    both = gather(data, CaptionSettings(), seed=1)
    assert both.learnt[:8] == alone.learnt
    assert both.held_out == alone.held_out
    added = both.learnt[8:]
    assert len(added) == 7
    assert all(one.item.is_reg and one.item.caption == "girl" for one in added)
    assert sum(one.item.repeats for one in added) == 8 * 3
    assert steps_per_epoch(both.learnt, 1) == 2 * steps_per_epoch(alone.learnt, 1)
    assert both.examples == [*both.learnt, *both.held_out]
    assert all(one.flips for one in both.learnt)
    assert not any(one.flips for one in both.held_out)


def test_an_image_that_may_not_be_enlarged_is_named() -> None:
    data = DataSettings(resolution=512, bucket_no_upscale=True)
    assert placed([item(100, 80)], data)[0].bucket == (64, 64)
    with pytest.raises(BadDataset) as caught:
        placed([item(100, 60)], data)
    assert (caught.value.key, caught.value.field) == ("image_too_small", "bucket_no_upscale")
    assert says(caught.value, "图.png", "100 × 60", "64")
    square = DataSettings(resolution=512, bucket_no_upscale=True, enable_bucket=False)
    assert placed([item(100, 60)], square)[0].bucket == (512, 512)  # as kohya: only with buckets


@pytest.mark.parametrize(
    ("size", "plain", "flipped"),
    [
        # 1365 x 768 resized, 21 columns too many: 10 cut off at the left, 11 at the right
        ((1920, 1080), (1080, 1920, 0, 10, 768, 1344), (1080, 1920, 0, 11, 768, 1344)),
        ((1080, 1920), (1920, 1080, 10, 0, 1344, 768), (1920, 1080, 10, 0, 1344, 768)),
        ((500, 500), (500, 500, 0, 0, 1024, 1024), (500, 500, 0, 0, 1024, 1024)),
    ],
)
def test_sdxl_is_told_of_size_and_crop(size: tuple[int, int], plain: tuple[int, ...], flipped: tuple[int, ...]) -> None:
    [example] = placed([item(*size)], DataSettings(resolution=1024, max_bucket_reso=2048))
    assert example.sizes() == plain
    assert example.sizes(flipped=True) == flipped


def test_all_texts_that_may_be_asked_for() -> None:
    learnt = placed([item(64, 64, "a", "b", "c"), item(64, 64, "d")], DataSettings())
    held_out = placed([item(64, 64, "e", "f", "g")], DataSettings())
    dataset = Dataset(learnt, held_out)
    assert texts_of(dataset, CaptionSettings(), 1) == ["", "sks, a, b, c", "sks, d", "sks, e, f, g"]
    found = texts_of(dataset, CaptionSettings(shuffle_caption=True, caption_variants=64), 1)
    assert len(found) == len(set(found)) == 4 + 5  # all orders of three tags, the held-out ones as they are written


def test_examples_are_values() -> None:
    [first], [second] = placed([item(64, 64)], DataSettings()), placed([item(64, 64)], DataSettings())
    assert isinstance(first, Example)
    assert len({first, second}) == 1
