"""What the U-Net is told, against open_clip's own computation and diffusers' pipelines."""

from __future__ import annotations

import warnings

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

from lora_trainer.checkpoint.adopt import Parts, adopt
from lora_trainer.checkpoint.encoders import Encoders
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.checkpoint.text import Text, encode_text, padded_with, weighted
from lora_trainer.settings import CaptionSettings
from tests.openclip import OpenClip
from tests.tiny import FAMILIES, POOLED, TEXT_WIDTH, modules_of, write_checkpoint

PLAIN = CaptionSettings()
CAPTION = "a red hat, blue coat"


@pytest.fixture(scope="module")
def all_parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Parts]:
    folder = tmp_path_factory.mktemp("text")
    found = {}
    for family in FAMILIES:
        found[family] = adopt(open_checkpoint(write_checkpoint(folder / family, family=family)), folder)
        for module in found[family].modules:
            module.float()
    return found


@pytest.fixture(scope="module")
def ids(all_parts: dict[str, Parts]) -> torch.Tensor:
    tokenizer = all_parts["SD1"].text_encoders[0].tokenizer
    found: torch.Tensor = tokenizer(CAPTION, padding="max_length", max_length=77, return_tensors="pt").input_ids
    return found


@torch.no_grad()
def test_sd2_reads_the_last_but_one_layer_of_open_clip(all_parts: dict[str, Parts], ids: torch.Tensor) -> None:
    tower = modules_of("SD2")[2][0].half().float()
    assert isinstance(tower, OpenClip)
    after = torch.arange(77) > ids[0].tolist().index(49407)
    states = tower.states(ids.masked_fill(after, 0))
    told = encode_text(all_parts["SD2"], [CAPTION], PLAIN)
    torch.testing.assert_close(told.hidden, tower.ln_final(states[-2]))
    assert told.pooled is None
    skipping = encode_text(all_parts["SD2"], [CAPTION], CaptionSettings(clip_skip=2))
    torch.testing.assert_close(skipping.hidden, tower.ln_final(states[-3]))


@torch.no_grad()
def test_clip_skip_of_sd1_is_kohyas(all_parts: dict[str, Parts], ids: torch.Tensor) -> None:
    module = all_parts["SD1"].text_encoders[0].module
    output = module(ids, output_hidden_states=True)
    plain = encode_text(all_parts["SD1"], [CAPTION], PLAIN).hidden
    torch.testing.assert_close(plain, output.last_hidden_state)
    norm = getattr(module, "text_model", module).final_layer_norm
    skipping = encode_text(all_parts["SD1"], [CAPTION], CaptionSettings(clip_skip=2)).hidden
    torch.testing.assert_close(skipping, norm(output.hidden_states[-2]))
    assert not torch.allclose(plain, skipping)


def test_sdxl_is_told_what_diffusers_pipeline_tells_it(all_parts: dict[str, Parts]) -> None:
    parts = all_parts["SDXL"]
    first, second = parts.text_encoders
    pipeline = StableDiffusionXLPipeline(
        vae=parts.vae,
        text_encoder=first.module,
        text_encoder_2=second.module,
        tokenizer=first.tokenizer,
        tokenizer_2=first.tokenizer,
        unet=parts.unet,
        scheduler=EulerDiscreteScheduler(),
        add_watermarker=False,
    )
    full = " ".join(["red", "hat", "blue"] * 25)  # nothing to pad: both pad in their own ways
    with torch.no_grad():
        hidden, _, pooled, _ = pipeline.encode_prompt(full, device="cpu", do_classifier_free_guidance=False)
        told = encode_text(parts, [full], CaptionSettings(clip_skip=2))
    torch.testing.assert_close(told.hidden, hidden)
    torch.testing.assert_close(told.pooled, pooled)


@torch.no_grad()
def test_the_second_encoder_of_sdxl_is_open_clips(all_parts: dict[str, Parts], ids: torch.Tensor) -> None:
    clip, tower = (text.half().float() for text in modules_of("SDXL")[2])
    after = torch.arange(77) > ids[0].tolist().index(49407)
    padded = ids.masked_fill(after, 0)
    told = encode_text(all_parts["SDXL"], [CAPTION], PLAIN)
    torch.testing.assert_close(told.hidden[..., :TEXT_WIDTH], clip(ids, output_hidden_states=True).hidden_states[-2])
    torch.testing.assert_close(told.hidden[..., TEXT_WIDTH:], tower.states(padded)[-2])
    torch.testing.assert_close(told.pooled, tower.pooled(padded))


def test_padding_begins_after_the_first_end_token() -> None:
    ids = torch.tensor([[1, 5, 9, 9, 9], [1, 5, 6, 7, 9]])
    assert padded_with(ids, 9, 0).tolist() == [[1, 5, 9, 0, 0], [1, 5, 6, 7, 9]]
    assert padded_with(ids, 9, None) is ids


@torch.no_grad()
def test_chunks_are_encoded_by_themselves(all_parts: dict[str, Parts]) -> None:
    long = "red hat " * 50  # 100 tokens
    settings = CaptionSettings(max_token_length=150)
    for parts in all_parts.values():
        told = encode_text(parts, [long, CAPTION], settings)
        begin, tail = (encode_text(parts, [text], PLAIN) for text in (long, "hat " + "red hat " * 12))
        assert told.hidden.shape == (2, 154, told.hidden.shape[-1])
        torch.testing.assert_close(told.hidden[0, :77], begin.hidden[0])
        torch.testing.assert_close(told.hidden[0, 77:], tail.hidden[0])
        short = encode_text(parts, [CAPTION], settings)
        torch.testing.assert_close(told.hidden[1], short.hidden[0].repeat(2, 1))
        if told.pooled is not None:
            torch.testing.assert_close(told.pooled[0], begin.pooled[0])


@torch.no_grad()
def test_repeating_a_text_changes_no_prediction(all_parts: dict[str, Parts]) -> None:
    unet, x, t = all_parts["SD1"].unet, torch.randn(1, 4, 8, 8), torch.tensor([500])
    short, long = torch.randn(77, TEXT_WIDTH), torch.randn(154, TEXT_WIDTH)
    stacked = Text.stack([Text(short), Text(long)])
    assert stacked.hidden.shape == (2, 154, TEXT_WIDTH)
    once = unet(x, t, encoder_hidden_states=short[None]).sample
    torch.testing.assert_close(unet(x, t, encoder_hidden_states=stacked[0].hidden[None]).sample, once)
    assert Text.stack([Text(short), Text(long), Text(torch.zeros(231, TEXT_WIDTH))]).hidden.shape[1] == 462


@torch.no_grad()
def test_weights_multiply_and_keep_the_mean(all_parts: dict[str, Parts]) -> None:
    hidden = torch.rand(2, 3, 4) + 0.1
    weights = torch.tensor([[1.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    found = weighted(hidden, weights)
    torch.testing.assert_close(found.mean(dim=(1, 2)), hidden.mean(dim=(1, 2)))
    torch.testing.assert_close(found[0, 1] / found[0, 0], 2 * hidden[0, 1] / hidden[0, 0])
    assert torch.equal(found[1], hidden[1])
    emphasis = CaptionSettings(weighted_captions=True)
    for parts in all_parts.values():
        plain, strong = (encode_text(parts, ["red hat"], settings) for settings in (PLAIN, emphasis))
        assert torch.equal(plain.hidden, strong.hidden)
        strong = encode_text(parts, ["red (hat:1.5)"], emphasis)
        assert strong.hidden.shape == plain.hidden.shape and not torch.allclose(strong.hidden, plain.hidden)
        assert plain.pooled is None or torch.equal(strong.pooled, plain.pooled)


def test_gradients_reach_the_encoders(all_parts: dict[str, Parts]) -> None:
    for parts in all_parts.values():
        weights = [encoder.module.get_input_embeddings().weight for encoder in parts.text_encoders]
        for weight in weights:
            weight.requires_grad_(True)
        try:
            told = encode_text(parts, [CAPTION], PLAIN)
            (told.hidden.square().sum() + (0 if told.pooled is None else told.pooled.square().sum())).backward()
            assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights)
        finally:
            for weight in weights:
                weight.requires_grad_(False)
                weight.grad = None


def test_the_cache_key_names_all_that_shapes_the_results(all_parts: dict[str, Parts]) -> None:
    parts = all_parts["SDXL"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keys = {
            Encoders(parts).model_key,
            Encoders(parts, CaptionSettings(clip_skip=2)).model_key,
            Encoders(parts, CaptionSettings(max_token_length=150)).model_key,
            Encoders(parts, CaptionSettings(weighted_captions=True)).model_key,
            Encoders(all_parts["SD2"]).model_key,
        }
    assert len(keys) == 5
    assert Encoders(parts).model_key == Encoders(parts, CaptionSettings(shuffle_caption=True)).model_key
    told = Encoders(parts).encode_text([CAPTION, ""])
    assert told.hidden.shape == (2, 77, 2 * TEXT_WIDTH) and told.pooled is not None
    assert told.pooled.shape == (2, POOLED) and not told.hidden.requires_grad
    one = told[1].to("cpu", torch.float16)
    assert one.hidden.shape == (77, 2 * TEXT_WIDTH) and one.hidden.dtype == torch.float16 and len(told) == 2


def test_sdxls_latents_have_its_own_scale(all_parts: dict[str, Parts]) -> None:
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    for parts in all_parts.values():
        with torch.no_grad():
            posterior = parts.vae.encode(pixels).latent_dist
        expected = torch.cat([posterior.mean, posterior.std], dim=1) * parts.family.scale_factor
        torch.testing.assert_close(Encoders(parts).encode_images(pixels), expected)
