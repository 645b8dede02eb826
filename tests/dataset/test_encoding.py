"""Encoding fills the cache once, in batches of one bucket, can be stopped, and never keeps what is no number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d

from lora_trainer.commands import Commands
from lora_trainer.dataset.buckets import place
from lora_trainer.dataset.cache import Cache
from lora_trainer.dataset.encoding import EncodedSet, Example, captions_of, encode, placed, prepare
from lora_trainer.dataset.scan import scan
from lora_trainer.errors import RunFailed
from lora_trainer.events import Progress
from lora_trainer.settings import DataSettings

from .files import picture, save, says

DATA = DataSettings(resolution=64, min_bucket_reso=64, bucket_reso_steps=8, trigger="sks")


class FakeEncoders:
    """A VAE that averages 8 x 8 pixels and a text encoder that counts letters; both remember their batches."""

    def __init__(self, model_key: str = "model") -> None:
        self.model_key = model_key
        self.images: list[tuple[int, ...]] = []
        self.texts: list[list[str]] = []

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        assert not torch.is_grad_enabled()
        assert pixels.dtype == torch.float32
        assert pixels.abs().max() <= 1
        self.images.append(tuple(pixels.shape))
        mean = avg_pool2d(pixels, 8)
        return torch.cat([mean, torch.full_like(mean, 0.1)], dim=1)

    def encode_text(self, captions: Sequence[str]) -> torch.Tensor:
        self.texts.append(list(captions))
        return torch.stack([torch.full((7, 5), float(len(caption))) for caption in captions])


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """Five squares and two wide images; three distinct captions."""
    for number in range(5):
        save(tmp_path / "images" / f"{number}.png", 60 + number, 60 + number, "hat" if number < 3 else "")
    save(tmp_path / "images" / "wide 1.png", 128, 64, "sky")
    save(tmp_path / "images" / "wide 2.png", 256, 128)
    return placed(scan(replace(DATA, images=str(tmp_path / "images"))), DATA)


def run(
    examples: Sequence[Example], encoders: FakeEncoders, cache: Cache, texts: bool = True
) -> tuple[list[Progress], EncodedSet | None]:
    """The events of ``encode`` and what it returns."""
    events, generator = [], encode(examples, encoders, cache, Commands(), texts=texts)
    while True:
        try:
            events.append(next(generator))
        except StopIteration as end:
            return events, end.value


def test_everything_is_encoded_once(tmp_path: Path, examples: list[Example]) -> None:
    encoders = FakeEncoders()
    events, found = run(examples, encoders, Cache(tmp_path / "cache"))
    assert captions_of(examples) == ["", "sks, hat", "sks", "sks, sky"]
    assert encoders.images == [(4, 3, 64, 64), (1, 3, 64, 64), (2, 3, 40, 88)]
    assert encoders.texts == [["", "sks, hat", "sks", "sks, sky"]]
    assert [(event.done, event.total) for event in events] == [(0, 11), (4, 11), (5, 11), (7, 11), (11, 11)]
    assert {event.stage for event in events} == {"caching"}

    assert found is not None
    for index, example in enumerate(examples):
        mean = avg_pool2d(prepare(example.item.path, example.placement)[None], 8)[0]
        assert torch.equal(found.latents(index), torch.cat([mean, torch.full_like(mean, 0.1)]))
    assert found.text("sks, hat").shape == (7, 5)
    assert found.text("").sum() == 0
    moved = found.to("cpu")
    assert torch.equal(moved.latents(6), found.latents(6))
    assert moved.text("sks").device.type == "cpu"


def test_a_second_run_computes_nothing(tmp_path: Path, examples: list[Example]) -> None:
    _, first = run(examples, FakeEncoders(), Cache(tmp_path / "cache"))
    for example in examples:  # renamed and touched, but the same
        example.item.path.touch()
    encoders = FakeEncoders()
    events, second = run(examples, encoders, Cache(tmp_path / "cache"))
    assert (encoders.images, encoders.texts) == ([], [])
    assert [(event.done, event.total) for event in events] == [(11, 11)]
    assert first is not None
    assert second is not None
    assert all(torch.equal(first.latents(i), second.latents(i)) for i in range(7))


def test_only_what_changed_is_computed_again(tmp_path: Path, examples: list[Example]) -> None:
    run(examples, FakeEncoders(), Cache(tmp_path / "cache"))
    picture(64, 64).transpose(Image.Transpose.ROTATE_180).save(examples[0].item.path)
    examples[5] = replace(examples[5], item=replace(examples[5].item, caption="sea"))
    encoders = FakeEncoders()
    run(examples, encoders, Cache(tmp_path / "cache"))
    assert encoders.images == [(1, 3, 64, 64)]
    assert encoders.texts == [["sea"]]

    other = FakeEncoders("model 2")
    run(examples, other, Cache(tmp_path / "cache"))
    assert sum(shape[0] for shape in other.images) == 7


def test_texts_may_be_left_out(tmp_path: Path, examples: list[Example]) -> None:
    encoders = FakeEncoders()
    events, found = run(examples, encoders, Cache(tmp_path), texts=False)
    assert encoders.texts == []
    assert events[-1].total == 7
    assert found is not None
    with pytest.raises(KeyError):
        found.text("")


def test_texts_come_in_batches(tmp_path: Path, examples: list[Example]) -> None:
    many = [replace(examples[0], item=replace(examples[0].item, caption=f"tag {n}")) for n in range(20)]
    encoders = FakeEncoders()
    run(many, encoders, Cache(tmp_path))
    assert [len(batch) for batch in encoders.texts] == [16, 5]


def test_stopping_keeps_what_is_done(tmp_path: Path, examples: list[Example]) -> None:
    encoders, commands, cache = FakeEncoders(), Commands(), Cache(tmp_path / "cache")
    generator = encode(examples, encoders, cache, commands)
    next(generator)
    next(generator)
    commands.stop_now()
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value is None
    assert encoders.images == [(4, 3, 64, 64)]
    assert len(list((tmp_path / "cache").iterdir())) == 4

    with pytest.raises(StopIteration) as end:
        next(encode(examples, encoders, cache, commands))
    assert end.value.value is None

    again = FakeEncoders()
    run(examples, again, Cache(tmp_path / "cache"))
    assert again.images == [(1, 3, 64, 64), (2, 3, 40, 88)]


def test_what_is_no_number_is_not_kept(tmp_path: Path, examples: list[Example]) -> None:
    class Overflowing(FakeEncoders):
        def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
            results = super().encode_images(pixels)
            results[1, 0, 0, 0] = torch.inf
            return results

    cache = Cache(tmp_path / "cache")
    with pytest.raises(RunFailed) as caught:
        run(examples, Overflowing(), cache)
    assert caught.value.key == "encoded_not_finite"
    assert says(caught.value, "1.png")
    assert len(list((tmp_path / "cache").iterdir())) == 1  # the one before it


def test_prepared_pixels(tmp_path: Path) -> None:
    image = Image.new("RGB", (128, 64), "black")
    image.paste((255, 255, 255), (64, 0, 128, 64))
    image.save(tmp_path / "a.png")
    pixels = prepare(tmp_path / "a.png", place((128, 64), [(64, 64)]))
    assert pixels.shape == (3, 64, 64)
    assert (pixels.min().item(), pixels.max().item()) == (-1, 1)
    assert pixels[:, :, :24].eq(-1).all()  # left of the centre black
    assert pixels[:, :, 40:].eq(1).all()


@pytest.mark.parametrize("size", [(500, 300), (301, 517), (64, 64), (37, 90)])
def test_prepared_pixels_are_resized_and_cropped(tmp_path: Path, size: tuple[int, int]) -> None:
    # Of little contrast: where a resampling overshoots, Pillow's result depends on which direction it does first.
    image = picture(*size).point(lambda value: 96 + value // 4)
    image.save(tmp_path / "a.png")
    placement = place(size, [(64, 64), (80, 48), (48, 80)])
    expected = image.resize(placement.resize, Image.Resampling.LANCZOS).crop(placement.crop)
    found = (prepare(tmp_path / "a.png", placement) + 1) * 127.5
    assert np.abs(found.permute(1, 2, 0).numpy() - np.asarray(expected, dtype=np.float32)).max() <= 2.01


def test_a_very_long_image_needs_little_memory(tmp_path: Path) -> None:
    Image.new("RGB", (1, 20_000), "red").save(tmp_path / "a.png")
    placement = place((1, 20_000), [(512, 8)])
    assert placement.resize == (512, 10_240_000)  # 16 GB if it were made
    assert prepare(tmp_path / "a.png", placement).shape == (3, 8, 512)
