"""The noise of training: its published statistics, and that nothing but seed and number decides it."""

from __future__ import annotations

import math

import pytest
import torch

from lora_trainer.settings import LossSettings
from lora_trainer.training.noise import (
    coarse_noise,
    input_disturbance,
    offset_strength,
    stream,
    training_noise,
)

IMAGES = 400
LATENTS = torch.zeros(IMAGES, 4, 16, 16)


def streams(count: int = IMAGES) -> list[torch.Generator]:
    return [stream(1, number) for number in range(count)]


def noise_of(**values: object) -> torch.Tensor:
    return training_noise(LATENTS, streams(), LossSettings(**values))


def channel_means(noise: torch.Tensor) -> torch.Tensor:
    return noise.mean(dim=(2, 3))


def test_plain_noise_is_white() -> None:
    noise = noise_of()
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float(noise.std()) == pytest.approx(1, abs=0.01)
    assert float(channel_means(noise).std()) == pytest.approx(1 / 16, rel=0.1)
    assert float((noise[..., 1:] * noise[..., :-1]).mean()) == pytest.approx(0, abs=0.01)
    assert float((noise[1:] * noise[:-1]).mean()) == pytest.approx(0, abs=0.01)


def test_noise_offset_shifts_whole_channels() -> None:
    plain, shifted = noise_of(), noise_of(noise_offset=0.3)
    assert float(channel_means(shifted).std()) == pytest.approx(math.hypot(1 / 16, 0.3), rel=0.1)
    shift = shifted - plain  # the same white noise, and one number per channel
    torch.testing.assert_close(shift, shift[:, :, :1, :1].expand_as(shift), rtol=0, atol=1e-6)


def test_noise_offset_of_random_strength() -> None:
    settings = LossSettings(noise_offset=0.6, noise_offset_random_strength=True)
    strengths = offset_strength(LATENTS, streams(), settings).flatten()
    assert strengths.shape == (IMAGES,)
    assert float(strengths.min()) >= 0
    assert float(strengths.max()) <= 0.6
    assert float(strengths.mean()) == pytest.approx(0.3, abs=0.03)
    assert float(strengths.std()) == pytest.approx(0.6 / math.sqrt(12), rel=0.1)


def test_adaptive_noise_scale_adds_a_share_of_the_mean() -> None:
    latents = torch.tensor([0.0, 2.0, -4.0]).view(1, 3, 1, 1) + torch.tensor([[-1.0, 1.0]])
    rising = offset_strength(latents, streams(1), LossSettings(noise_offset=0.1, adaptive_noise_scale=0.05))
    assert rising.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    falling = offset_strength(latents, streams(1), LossSettings(noise_offset=0.1, adaptive_noise_scale=-0.03))
    assert falling.flatten().tolist() == pytest.approx([0.1, 0.04, 0.0])


def test_multires_noise_has_unit_strength_in_every_image_and_more_of_it_is_coarse() -> None:
    noise = noise_of(multires_noise_iterations=8, multires_noise_discount=0.5)
    torch.testing.assert_close(noise.std(dim=(1, 2, 3)), torch.ones(IMAGES))
    weaker = noise_of(multires_noise_iterations=8, multires_noise_discount=0.3)
    spread = [float(channel_means(x).std()) for x in (noise_of(), weaker, noise)]
    assert spread[0] * 1.1 < spread[1] < spread[2] / 1.1
    assert float((noise[..., 1:] * noise[..., :-1]).mean()) > 0.05


@pytest.mark.parametrize("values", [{"multires_noise_iterations": 1}, {"multires_noise_discount": 0.0}])
def test_the_first_level_of_multires_noise_is_white(values: dict[str, float]) -> None:
    settings = LossSettings(**{"multires_noise_iterations": 6, **values})
    noise = torch.stack([coarse_noise((4, 16, 16), generator, settings) for generator in streams()])
    assert float(noise.std()) == pytest.approx(1, abs=0.01)
    assert float(channel_means(noise).std()) == pytest.approx(1 / 16, rel=0.1)


def test_multires_noise_ends_at_one_pixel() -> None:
    """At discount 1 the levels of 16 pixels are 1 white one, at most 4 between, and 1 of a single pixel."""
    settings = LossSettings(multires_noise_iterations=16, multires_noise_discount=1.0)
    noise = torch.stack([coarse_noise((4, 16, 16), generator, settings) for generator in streams()])
    assert 1.0 < float(channel_means(noise).var()) < 3.0
    odd = coarse_noise((4, 5, 24), stream(0, 0), settings)
    assert odd.shape == (4, 5, 24)


def test_input_disturbance() -> None:
    assert input_disturbance(LATENTS, streams(), LossSettings()) is None
    fixed = input_disturbance(LATENTS, streams(), LossSettings(ip_noise_gamma=0.1))
    varied = input_disturbance(
        LATENTS, streams(), LossSettings(ip_noise_gamma=0.1, ip_noise_gamma_random_strength=True)
    )
    assert fixed is not None
    assert varied is not None
    assert fixed.std(dim=(1, 2, 3)) == pytest.approx(0.1, rel=0.15)
    strengths = varied.std(dim=(1, 2, 3))
    assert float(strengths.max()) < 0.11
    assert float(strengths.mean()) == pytest.approx(0.05, abs=0.005)


def test_streams_differ_by_seed_and_by_number() -> None:
    first = {float(torch.randn(1, generator=stream(seed, number))) for seed in range(20) for number in range(20)}
    assert len(first) == 400
    assert torch.equal(torch.randn(8, generator=stream(5, 6)), torch.randn(8, generator=stream(5, 6)))
