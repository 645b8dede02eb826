"""Buckets are kohya's, number for number, and every crop fills its bucket."""

from __future__ import annotations

import random
from itertools import product

import pytest

from lora_trainer.dataset.buckets import Placement, Size, bucket_limits, bucket_sizes, place, place_without_upscaling
from lora_trainer.settings import DataSettings

# By hand from make_bucket_resolutions((512, 512), 256, 1024, 64), and as kohya's scripts print them.
AT_512 = (
    (256, 832), (256, 896), (256, 960), (256, 1024), (320, 704), (320, 768), (384, 640), (448, 576), (512, 512),
    (576, 448), (640, 384), (704, 320), (768, 320), (832, 256), (896, 256), (960, 256), (1024, 256),
)  # fmt: skip


def settings(resolution: int, **values: object) -> DataSettings:
    return DataSettings(resolution=resolution, **values)  # type: ignore[arg-type]


def test_kohyas_buckets_at_512() -> None:
    assert bucket_sizes(settings(512)) == AT_512


def test_kohyas_buckets_at_1024() -> None:
    found = bucket_sizes(settings(1024, min_bucket_reso=512, max_bucket_reso=2048))
    # 1024² // width // 64 * 64, the sizes that SDXL users know
    for known in ((512, 2048), (576, 1792), (640, 1600), (768, 1344), (832, 1216), (896, 1152), (960, 1088)):
        assert known in found
        assert known[::-1] in found
    assert (1024, 1024) in found
    assert all(512 <= side <= 2048 for size in found for side in size)


def test_without_buckets_there_is_the_square() -> None:
    assert bucket_sizes(settings(512, enable_bucket=False)) == ((512, 512),)
    assert bucket_sizes(settings(500, enable_bucket=False)) == ((496, 496),)  # a multiple of the VAE's 8


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (settings(512), (256, 1024, 64)),  # as given
        (settings(512, min_bucket_reso=384, max_bucket_reso=768), (384, 768, 64)),
        (settings(512, min_bucket_reso=300, max_bucket_reso=1000), (320, 960, 64)),  # multiples of the step
        (settings(512, min_bucket_reso=1024), (256, 1024, 64)),  # a shortest side above the resolution
        (settings(256), (128, 1024, 64)),  # one that leaves only the square
        (settings(128), (64, 1024, 64)),
        (settings(64), (64, 1024, 64)),
        (settings(1024, max_bucket_reso=512), (256, 1024, 64)),  # a longest side below the resolution
        (settings(64, bucket_reso_steps=256), (64, 1024, 64)),  # a step above the resolution
        (settings(512, bucket_reso_steps=12), (256, 1024, 8)),  # a step that the VAE cannot go
    ],
)
def test_limits_are_made_to_fit(data: DataSettings, limits: tuple[int, int, int]) -> None:
    assert bucket_limits(data) == limits


def test_small_trainings_have_buckets_with_the_defaults() -> None:
    assert bucket_sizes(settings(128)) == ((64, 192), (64, 256), (128, 128), (192, 64), (256, 64))
    assert bucket_sizes(settings(64)) == ((64, 64),)


def test_any_settings_give_buckets_that_the_vae_takes() -> None:
    for resolution, low, high, step in product((64, 72, 100, 512, 2048), (64, 1000, 2048), (64, 640, 4096), (8, 100)):
        data = settings(resolution, min_bucket_reso=low, max_bucket_reso=high, bucket_reso_steps=step)
        found = bucket_sizes(data)
        assert any(width == height for width, height in found)
        assert all(side % 8 == 0 and side > 0 for size in found for side in size)
        assert all(width * height <= resolution**2 for width, height in found)


@pytest.mark.parametrize(
    ("size", "placement"),
    [
        ((512, 512), Placement((512, 512), (512, 512), (0, 0, 512, 512))),
        ((1000, 1000), Placement((512, 512), (512, 512), (0, 0, 512, 512))),
        ((100, 100), Placement((512, 512), (512, 512), (0, 0, 512, 512))),  # small ones are enlarged
        ((768, 320), Placement((768, 320), (768, 320), (0, 0, 768, 320))),  # there is a bucket of this size
        # 1.778: 640/384 = 1.667 is nearer than 704/320 = 2.2; 1920 * 384 / 1080 = 682.67
        ((1920, 1080), Placement((640, 384), (683, 384), (21, 0, 661, 384))),
        # 0.5625: 384/640 = 0.6 is nearer than 320/704 = 0.4545; 1920 * 384 / 1080 = 682.67
        ((1080, 1920), Placement((384, 640), (384, 683), (0, 21, 384, 661))),
        # 0.75: 448/576 = 0.7778 is nearer than 384/640 = 0.6; 1024 * 448 / 768 = 597.33
        ((768, 1024), Placement((448, 576), (448, 597), (0, 10, 448, 586))),
        # 1.333: 576/448 = 1.286 is nearer than 640/384 = 1.667; 4000 * 448 / 3000 = 597.33
        ((4000, 3000), Placement((576, 448), (597, 448), (10, 0, 586, 448))),
        ((10_000, 10), Placement((1024, 256), (256_000, 256), (127_488, 0, 128_512, 256))),
    ],
)
def test_kohyas_choice_of_bucket(size: Size, placement: Placement) -> None:
    assert place(size, AT_512) == placement


def test_the_exact_size_comes_before_an_equal_ratio() -> None:
    assert place((256, 256), ((128, 128), (256, 256))).bucket == (256, 256)
    assert place((300, 300), ((128, 128), (256, 256))).bucket == (128, 128)  # of equals the first, as numpy's argmin


def test_every_image_covers_its_bucket_and_is_cropped_at_the_centre() -> None:
    generator = random.Random(0)
    for _ in range(500):
        size = (generator.randint(1, 5000), generator.randint(1, 5000))
        placed = place(size, AT_512)
        left, top, right, bottom = placed.crop
        assert (right - left, bottom - top) == placed.bucket
        assert placed.bucket[0] in placed.resize[:1] or placed.bucket[1] == placed.resize[1]
        assert placed.resize[0] >= placed.bucket[0]
        assert placed.resize[1] >= placed.bucket[1]
        assert 0 <= placed.resize[0] - right - left <= 1
        assert 0 <= placed.resize[1] - bottom - top <= 1
        box = placed.source_box(size)
        assert 0 <= box[0] < box[2] <= size[0]
        assert 0 <= box[1] < box[3] <= size[1]


@pytest.mark.parametrize(
    ("size", "bucket", "resize"),
    [  # as kohya's scripts print them at 512 with steps of 64
        ((512, 512), (512, 512), (512, 512)),
        ((400, 300), (384, 256), (400, 300)),  # small ones stay as they are and lose an edge
        ((100, 2000), (64, 1984), (100, 2000)),  # shortest and longest side do not count
        ((64, 64), (64, 64), (64, 64)),
        ((1920, 1080), (640, 384), (683, 384)),  # the height to whole steps bends the ratio less
        ((1080, 1920), (384, 640), (384, 683)),
        ((768, 1024), (384, 512), (384, 512)),
        ((3000, 1000), (768, 256), (768, 256)),
        ((600, 500), (512, 448), (538, 448)),
        ((513, 512), (512, 512), (513, 512)),
    ],
)
def test_without_upscaling_as_kohya(size: Size, bucket: Size, resize: Size) -> None:
    placed = place_without_upscaling(size, settings(512))
    assert placed is not None
    assert (placed.bucket, placed.resize) == (bucket, resize)


def test_without_upscaling_nothing_is_enlarged_and_areas_stay_below_the_limit() -> None:
    generator = random.Random(0)
    for _ in range(500):
        size = (generator.randint(64, 3000), generator.randint(64, 3000))
        placed = place_without_upscaling(size, settings(512))
        if placed is None:
            assert max(size) / min(size) > 12  # a stripe: at 512² pixels its short side is less than 128
            continue
        left, top, right, bottom = placed.crop
        assert (right - left, bottom - top) == placed.bucket
        assert all(bucket % 64 == 0 for bucket in placed.bucket)
        for bucket, resize, own in zip(placed.bucket, placed.resize, size, strict=True):
            assert 0 < bucket <= resize <= own
            assert resize - bucket < 64
        assert placed.bucket[0] * placed.bucket[1] <= 512**2 * 1.13
        if size[0] * size[1] <= 512**2:
            assert placed.resize == size


@pytest.mark.parametrize("size", [(63, 500), (500, 40), (20_000, 100), (100, 30_000)])
def test_without_upscaling_what_is_narrower_than_a_step_has_no_bucket(size: Size) -> None:
    assert place_without_upscaling(size, settings(512)) is None
