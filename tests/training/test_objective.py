"""The objective of training, against diffusers', published formulas, and by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from diffusers import DDPMScheduler
from torch.nn import functional

from lora_trainer.checkpoint.noise import NoiseSchedule, add_noise, noise_schedule, target
from lora_trainer.settings import LossSettings
from lora_trainer.training.objective import Draw, draw, error, losses, make_objective, mean_error
from lora_trainer.training.weighting import huber_thresholds, timestep_weights

PARAMS = {"linear_start": 0.00085, "linear_end": 0.012, "timesteps": 1000}
CPU = torch.device("cpu")
EVERYTHING = LossSettings(
    loss_type="huber",
    min_snr_gamma=5.0,
    debiased_estimation_loss=True,
    v_pred_like_loss=0.5,
    noise_offset=0.1,
    noise_offset_random_strength=True,
    adaptive_noise_scale=0.05,
    multires_noise_iterations=6,
    ip_noise_gamma=0.1,
    ip_noise_gamma_random_strength=True,
)


@pytest.fixture(scope="module")
def schedule() -> NoiseSchedule:
    return noise_schedule(PARAMS)


def moments_of(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(count, 4, 8, 8, generator=generator)
    return torch.cat([mean, torch.full_like(mean, 0.1)], dim=1)


def predicting(prediction: torch.Tensor) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    return lambda noised, timesteps: prediction


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_noise_and_target_are_those_of_diffusers(schedule: NoiseSchedule, kind: str) -> None:
    reference = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=kind)
    latents, noise, t = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8), torch.tensor([0, 400, 999])
    alpha_bar = schedule.alphas_cumprod[t].float()
    torch.testing.assert_close(
        add_noise(latents, noise, alpha_bar), reference.add_noise(latents, noise, t), rtol=1e-4, atol=1e-4
    )
    wanted = noise if kind == "epsilon" else reference.get_velocity(latents, noise, t)
    torch.testing.assert_close(target(latents, noise, alpha_bar, kind), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_perfect_prediction_has_no_loss(schedule: NoiseSchedule, kind: str) -> None:
    schedule = NoiseSchedule(schedule.alphas_cumprod, kind)
    drawn = draw(moments_of(3), range(3), 1, EVERYTHING, 1000)
    alpha_bar = schedule.alphas_cumprod.float()[drawn.timesteps]
    perfect = target(drawn.latents, drawn.noise, alpha_bar, kind)
    for loss_type in ("l2", "l1", "huber", "smooth_l1"):
        settings = LossSettings(loss_type=loss_type, min_snr_gamma=5.0, debiased_estimation_loss=True)
        found = losses(predicting(perfect), drawn, make_objective(schedule, settings, CPU))
        assert found.tolist() == [0, 0, 0]


def test_the_plain_loss_is_the_mean_squared_error(schedule: NoiseSchedule) -> None:
    drawn = draw(moments_of(3), range(3), 1, LossSettings(), 1000)
    found = losses(predicting(torch.zeros(3, 4, 8, 8)), drawn, make_objective(schedule, LossSettings(), CPU))
    torch.testing.assert_close(found, drawn.noise.square().mean(dim=(1, 2, 3)))


def test_weights_thresholds_and_factors_are_those_of_each_image(schedule: NoiseSchedule) -> None:
    settings = LossSettings(loss_type="huber", min_snr_gamma=5.0)
    drawn = draw(moments_of(5), range(5), 1, settings, 1000)
    zero, factors = torch.zeros(5, 4, 8, 8), torch.tensor([1.0, 0.5, 0.0, 2.0, 1.0])
    found = losses(predicting(zero), drawn, make_objective(schedule, settings, CPU), factors=factors)
    expected = []
    for noise, t, factor in zip(drawn.noise, drawn.timesteps.tolist(), factors.tolist(), strict=True):
        c = float(huber_thresholds(schedule, settings)[t])
        loss = (2 * c * ((noise.double().square() + c**2).sqrt() - c)).mean()
        expected.append(float(loss) * float(timestep_weights(schedule, settings)[t]) * factor)
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_only_the_input_is_disturbed(schedule: NoiseSchedule) -> None:
    seen = []

    def predict(noised: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        seen.append(noised)
        return torch.zeros_like(noised)

    found = []
    for settings in (LossSettings(), LossSettings(ip_noise_gamma=0.1)):
        drawn = draw(moments_of(2), range(2), 1, settings, 1000)
        found.append(losses(predict, drawn, make_objective(schedule, settings, CPU)))
    torch.testing.assert_close(found[0], found[1])
    assert drawn.disturbance is not None
    share = (1 - schedule.alphas_cumprod[drawn.timesteps]).sqrt().float().view(-1, 1, 1, 1)
    torch.testing.assert_close(seen[1] - seen[0], share * drawn.disturbance, rtol=1e-3, atol=1e-5)


def test_latents_are_drawn_from_their_posterior() -> None:
    mean, deviation = torch.full((1, 4, 64, 64), 3.0), torch.full((1, 4, 64, 64), 0.5)
    drawn: Draw = draw(torch.cat([mean, deviation], dim=1), [0], 1, LossSettings(), 1000)
    assert float(drawn.latents.mean()) == pytest.approx(3.0, abs=0.02)
    assert float(drawn.latents.std()) == pytest.approx(0.5, abs=0.02)
    again = draw(torch.cat([mean, deviation], dim=1), [1], 1, LossSettings(), 1000)
    assert not torch.equal(drawn.latents, again.latents)


def test_a_draw_does_not_depend_on_the_batches() -> None:
    moments = moments_of(6)
    whole = draw(moments, range(6), 7, EVERYTHING, 1000)
    parts = [draw(moments[i], i, 7, EVERYTHING, 1000) for i in ([0, 1, 2, 3], [4], [5])]
    for name in ("latents", "noise", "timesteps", "disturbance"):
        torch.testing.assert_close(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))


def test_half_precision_latents_are_drawn_in_full() -> None:
    drawn = draw(moments_of(2).half(), range(2), 1, LossSettings(), 1000)
    assert drawn.latents.dtype == drawn.noise.dtype == torch.float32


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_nothing_is_read_back_from_the_device(schedule: NoiseSchedule, kind: str) -> None:
    """The meta device has no values: reading one, as a wait for a real device would, is an error there."""
    meta = torch.device("meta")
    drawn = draw(moments_of(3).to(meta), range(3), 1, EVERYTHING, 1000)
    aim = make_objective(NoiseSchedule(schedule.alphas_cumprod, kind), EVERYTHING, meta)
    mask, factors = torch.ones(3, 1, 8, 8, device=meta), torch.ones(3, device=meta)
    assert losses(lambda noised, timesteps: noised, drawn, aim, mask, factors).shape == (3,)


def test_errors_of_torch_and_kohya() -> None:
    generator = torch.Generator().manual_seed(1)
    difference = torch.randn(3, 4, 8, 8, generator=generator)
    zero, c = torch.zeros_like(difference), torch.tensor([0.05, 0.3, 1.0]).view(-1, 1, 1, 1)
    assert torch.equal(error(difference, "l2", c), functional.mse_loss(difference, zero, reduction="none"))
    assert torch.equal(error(difference, "l1", c), functional.l1_loss(difference, zero, reduction="none"))
    pseudo = 2 * ((difference.double() ** 2 + c**2).sqrt() - c)
    torch.testing.assert_close(error(difference, "smooth_l1", c), pseudo.float(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(error(difference, "huber", c), (c * pseudo).float(), rtol=1e-4, atol=1e-6)


def test_small_and_large_errors_of_huber() -> None:
    c = torch.tensor(0.1)
    small, large = torch.tensor([1e-6]), torch.tensor([100.0])
    torch.testing.assert_close(error(small, "huber", c), small.square(), rtol=1e-4, atol=0)
    torch.testing.assert_close(error(large, "huber", c), 2 * c * (large - c), rtol=1e-4, atol=0)
    still = torch.zeros(1, requires_grad=True)
    error(still, "huber", c).sum().backward()
    assert still.grad is not None
    assert still.grad.tolist() == [0]


def test_masks() -> None:
    errors = torch.rand(4, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(4, 1, 8, 8)
    mask[0] = 1
    mask[1, :, :, :4] = 1
    mask[2, :, 2, 3], mask[2, :, 5, 6] = 1.0, 0.5
    found = mean_error(errors, mask)
    torch.testing.assert_close(found[0], errors[0].mean())
    torch.testing.assert_close(found[1], errors[1, :, :, :4].mean())
    torch.testing.assert_close(found[2], (errors[2, :, 2, 3] * 2 / 3 + errors[2, :, 5, 6] / 3).mean())
    assert float(found[3]) == 0.0
    even = mean_error(torch.full((2, 4, 8, 8), 0.7), torch.stack([mask[0], mask[1]]))
    torch.testing.assert_close(even, torch.full((2,), 0.7))  # however small, the same error counts the same


def test_outside_the_mask_nothing_is_learnt(schedule: NoiseSchedule) -> None:
    drawn = draw(moments_of(1), [0], 1, LossSettings(), 1000)
    prediction = torch.zeros(1, 4, 8, 8, requires_grad=True)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :3] = 1
    losses(predicting(prediction), drawn, make_objective(schedule, LossSettings(), CPU), mask).sum().backward()
    assert prediction.grad is not None
    assert (prediction.grad[..., :3] != 0).all()
    assert (prediction.grad[..., 3:] == 0).all()
