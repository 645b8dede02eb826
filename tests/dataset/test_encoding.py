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

from lora_trainer.checkpoint.text import Text
from lora_trainer.commands import Commands
from lora_trainer.dataset import encoding
from lora_trainer.dataset.buckets import place
from lora_trainer.dataset.cache import Cache
from lora_trainer.dataset.captions import Wording
from lora_trainer.dataset.encoding import encode, prepare
from lora_trainer.dataset.examples import Dataset, Example, placed, texts_of
from lora_trainer.dataset.scan import scan
from lora_trainer.errors import RunFailed
from lora_trainer.settings import CaptionSettings, DataSettings

from .encoders import FakeEncoders, run
from .files import picture, save, says

DATA = DataSettings(resolution=64, min_bucket_reso=64, bucket_reso_steps=8, trigger="sks")


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """Five squares and two wide images; three distinct captions."""
    for number in range(5):
        save(tmp_path / "images" / f"{number}.png", 60 + number, 60 + number, "hat" if number < 3 else "")
    save(tmp_path / "images" / "wide 1.png", 128, 64, "sky")
    save(tmp_path / "images" / "wide 2.png", 256, 128)
    return placed(scan(replace(DATA, images=str(tmp_path / "images")), CaptionSettings()), DATA)


def captions_of(examples: Sequence[Example]) -> list[str]:
    return texts_of(Dataset(list(examples), []), CaptionSettings(), 1)


def test_everything_is_encoded_once(tmp_path: Path, examples: list[Example]) -> None:
    encoders = FakeEncoders()
    events, found = run(examples, encoders, Cache(tmp_path / "cache"), captions_of(examples))
    assert captions_of(examples) == ["", "sks, hat", "sks", "sks, sky"]
    assert encoders.images == [(4, 3, 64, 64), (1, 3, 64, 64), (2, 3, 40, 88)]
    assert encoders.texts == [["", "sks, hat", "sks", "sks, sky"]]
    assert [(event.done, event.total) for event in events] == [(0, 11), (4, 11), (5, 11), (7, 11), (11, 11)]
    assert {event.stage for event in events} == {"caching"}

    assert found is not None
    for index, example in enumerate(examples):
        mean = avg_pool2d(prepare(example.item.path, example.placement)[None], 8)[0]
        assert torch.equal(found.latents(index), torch.cat([mean, torch.full_like(mean, 0.1)]))
        assert found.mask(index) is None
        assert found.sizes(index).tolist() == list(map(float, example.sizes()))
    assert found.text("sks, hat").hidden.shape == (7, 5)
    assert found.text("sks, hat").pooled is None
    assert found.text("").hidden.sum() == 0


def test_a_second_run_computes_nothing(tmp_path: Path, examples: list[Example]) -> None:
    _, first = run(examples, FakeEncoders(), Cache(tmp_path / "cache"), captions_of(examples))
    for example in examples:  # renamed and touched, but the same
        example.item.path.touch()
    encoders = FakeEncoders()
    events, second = run(examples, encoders, Cache(tmp_path / "cache"), captions_of(examples))
    assert (encoders.images, encoders.texts) == ([], [])
    assert [(event.done, event.total) for event in events] == [(11, 11)]
    assert first is not None
    assert second is not None
    assert all(torch.equal(first.latents(i), second.latents(i)) for i in range(7))


def test_only_what_changed_is_computed_again(tmp_path: Path, examples: list[Example]) -> None:
    run(examples, FakeEncoders(), Cache(tmp_path / "cache"), captions_of(examples))
    picture(64, 64).transpose(Image.Transpose.ROTATE_180).save(examples[0].item.path)
    examples[5] = replace(examples[5], item=replace(examples[5].item, wording=Wording(("sea",))))
    encoders = FakeEncoders()
    run(examples, encoders, Cache(tmp_path / "cache"), captions_of(examples))
    assert encoders.images == [(1, 3, 64, 64)]
    assert encoders.texts == [["sea"]]

    other = FakeEncoders("model 2")
    run(examples, other, Cache(tmp_path / "cache"), captions_of(examples))
    assert sum(shape[0] for shape in other.images) == 7


def test_texts_may_be_left_out(tmp_path: Path, examples: list[Example]) -> None:
    encoders = FakeEncoders()
    events, found = run(examples, encoders, Cache(tmp_path), [])
    assert encoders.texts == []
    assert events[-1].total == 7
    assert found is not None
    with pytest.raises(KeyError):
        found.text("")


def test_texts_come_in_batches(tmp_path: Path, examples: list[Example]) -> None:
    many = [replace(examples[0], item=replace(examples[0].item, wording=Wording((f"tag {n}",)))) for n in range(20)]
    encoders = FakeEncoders()
    run(many, encoders, Cache(tmp_path), captions_of(many))
    assert [len(batch) for batch in encoders.texts] == [16, 5]


def test_stopping_keeps_what_is_done(tmp_path: Path, examples: list[Example]) -> None:
    encoders, commands, cache = FakeEncoders(), Commands(), Cache(tmp_path / "cache")
    generator = encode(examples, encoders, cache, commands, texts=captions_of(examples))
    next(generator)
    next(generator)
    commands.stop_now()
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value is None
    assert encoders.images == [(4, 3, 64, 64)]
    assert len(list((tmp_path / "cache").iterdir())) == 4

    with pytest.raises(StopIteration) as end:
        next(encode(examples, encoders, cache, commands, texts=captions_of(examples)))
    assert end.value.value is None

    again = FakeEncoders()
    run(examples, again, Cache(tmp_path / "cache"), captions_of(examples))
    assert again.images == [(1, 3, 64, 64), (2, 3, 40, 88)]


def test_what_is_no_number_is_not_kept(tmp_path: Path, examples: list[Example]) -> None:
    class Overflowing(FakeEncoders):
        def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
            results = super().encode_images(pixels)
            results[1, 0, 0, 0] = torch.inf
            return results

    cache = Cache(tmp_path / "cache")
    with pytest.raises(RunFailed) as caught:
        run(examples, Overflowing(), cache, [])
    assert caught.value.key == "encoded_not_finite"
    assert says(caught.value, "1.png")
    assert len(list((tmp_path / "cache").iterdir())) == 1  # the one before it


def test_mirror_images_are_encoded_in_the_same_batches(
    tmp_path: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(encoding, "prepare", lambda path, *how: read.append(path) or prepare(path, *how))
    cache, encoders = Cache(tmp_path / "cache"), FakeEncoders()
    run(examples[:3], encoders, cache, [])
    flipping = [replace(example, flips=True) for example in examples[:4]]
    events, found = run(flipping, encoders, cache, [])
    assert found is not None
    assert encoders.images == [(3, 3, 64, 64), (4, 3, 64, 64), (1, 3, 64, 64)]
    assert [(event.done, event.total) for event in events] == [(3, 8), (7, 8), (8, 8)]
    assert len(read) == 3 + 4 + 1  # of the last image both lie in different batches
    for index in range(4):
        assert torch.allclose(found.latents(index, flipped=True), found.latents(index).flip(-1), atol=1e-6)
        assert not torch.allclose(found.latents(index, flipped=True), found.latents(index), atol=0.1)
    read.clear()
    run([replace(examples[4], flips=True)], encoders, cache, [])
    assert len(read) == 1


def test_an_encoder_sees_the_mirrored_crop(tmp_path: Path) -> None:
    image = Image.new("RGB", (200, 64), "black")
    image.paste((255, 255, 255), (72, 16, 88, 32))  # in the crop of 64 columns from 68: columns 4 to 20
    image.save(tmp_path / "a.png")
    item = scan(DataSettings(images=str(tmp_path)), CaptionSettings())[0]
    example = Example(item, place((200, 64), [(64, 64)]), flips=True)
    _, found = run([example], FakeEncoders(), Cache(tmp_path / "cache"), [])
    assert found is not None
    bright = [found.latents(0, flipped)[0, 2].gt(-0.9).nonzero().flatten().tolist() for flipped in (False, True)]
    assert bright == [[0, 1, 2], [5, 6, 7]]
    assert found.sizes(0).tolist() == [64, 200, 0, 68, 64, 64]


def test_masks_are_kept_without_a_model(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", 200, 64)
    save(tmp_path / "images" / "b.png", 64, 64)
    mask = Image.new("L", (200, 64), 0)
    mask.paste(255, (68, 0, 84, 64))
    (tmp_path / "masks").mkdir()
    mask.save(tmp_path / "masks" / "a.bmp")
    data = replace(DATA, images=str(tmp_path / "images"), mask_dir=str(tmp_path / "masks"), flip_aug=True)
    square = [(64, 64)]
    items = scan(data, CaptionSettings())
    examples = [Example(item, place((item.width, item.height), square), flips=True) for item in items]
    cache = Cache(tmp_path / "cache")
    events, found = run(examples, FakeEncoders(), cache, [])
    assert events[-1].total == 5
    assert found is not None
    plain, flipped = found.mask(0), found.mask(0, flipped=True)
    assert plain is not None
    assert flipped is not None
    assert plain[0, 3].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert flipped[0, 3].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert found.mask(1) is None

    events, _ = run(examples, FakeEncoders("model 2"), cache, [])
    assert events[0].done == 1  # the mask
    mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "masks" / "a.bmp")
    events, found = run(examples, FakeEncoders(), cache, [])
    assert events[0].done == 4
    assert found is not None
    turned = found.mask(0)
    assert turned is not None
    assert turned[0, 3].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]


def test_transparency_and_a_mask_of_the_same_content_are_two_things(tmp_path: Path) -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    image.save(tmp_path / "images" / "a.png")
    image.save(tmp_path / "masks" / "a.png")
    for values, expected in (({"alpha_mask": True}, 1), ({"mask_dir": str(tmp_path / "masks")}, 0)):
        data = replace(DATA, images=str(tmp_path / "images"), **values)  # type: ignore[arg-type]
        _, found = run(placed(scan(data, CaptionSettings()), data), FakeEncoders(), Cache(tmp_path / "cache"), [])
        assert found is not None
        mask = found.mask(0)
        assert mask is not None
        assert mask.eq(expected).all()


def test_another_background_is_encoded_anew(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    cache, pixels = Cache(tmp_path / "cache"), []
    for background, new in (("white", 1), ("#ffffff", 0), ("black", 1), ("#00ff00", 1)):
        data = replace(DATA, images=str(tmp_path), background=background)
        encoders = FakeEncoders()
        _, found = run(placed(scan(data, CaptionSettings()), data), encoders, cache, [])
        assert found is not None and len(encoders.images) == new
        pixels.append(found.latents(0)[:3, 0, 0].tolist())
    assert pixels == [[1, 1, 1], [1, 1, 1], [-1, -1, -1], [-1, 1, -1]]


def test_pooled_embeddings_are_kept_too(tmp_path: Path, examples: list[Example]) -> None:
    class Two(FakeEncoders):
        def encode_text(self, captions: Sequence[str]) -> Text:
            batch = super().encode_text(captions)
            return Text(batch.hidden, batch.hidden[:, 0] + 1)

    for _ in range(2):
        _, found = run(examples, Two(), Cache(tmp_path), ["", "hat"])
        assert found is not None
        one = found.text("hat")
        assert one.pooled is not None
        assert one.pooled.tolist() == [4.0] * 5
        assert one.hidden.tolist() == [[3.0] * 5] * 7


def test_the_same_image_twice_is_encoded_once(tmp_path: Path, examples: list[Example]) -> None:
    encoders = FakeEncoders()
    events, found = run([examples[0], examples[0]], encoders, Cache(tmp_path), [])
    assert encoders.images == [(1, 3, 64, 64)]
    assert events[-1].total == 1
    assert found is not None
    assert torch.equal(found.latents(0), found.latents(1))


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
