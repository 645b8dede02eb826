"""Pictures against k-diffusion's formulas, written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lora_trainer.checkpoint.adopt import Parts, adopt
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.checkpoint.precision import choose, place
from lora_trainer.checkpoint.sampling import Drawing, conditions, draw_latents, draw_picture, starting_noise
from lora_trainer.checkpoint.text import encode_text
from lora_trainer.settings import CaptionSettings, LossSettings
from tests.tiny import write_checkpoint

DRAWING = Drawing(prompt="a red hat", steps=3, cfg_scale=4, width=64, height=128, seed=5)


def made(folder: Path, family: str, loss: LossSettings) -> Parts:
    parts = adopt(open_checkpoint(write_checkpoint(folder, family=family)), folder, loss)
    place(parts, choose("cpu", "fp32"))
    return parts


@torch.no_grad()
def by_hand(parts: Parts, drawing: Drawing) -> torch.Tensor:
    """Euler's method on the denoiser that k-diffusion wraps around a U-Net that predicts noise or v."""
    alphas = parts.noise.alphas_cumprod.clamp(min=4.8973451890853435e-08)
    every = ((1 - alphas) / alphas).sqrt().numpy()
    times = np.linspace(len(every) - 1, 0, drawing.steps)
    sigmas = [*np.exp(np.interp(times, np.arange(len(every)), np.log(every))), 0.0]
    positive = encode_text(parts, [drawing.prompt], CaptionSettings())
    negative = encode_text(parts, [""], CaptionSettings())
    scale = 0.0 if parts.family.sized else 1.0  # SDXL: zeros in place of an empty negative prompt
    kept = [(negative.hidden * scale, negative.pooled), (positive.hidden, positive.pooled)]
    x = starting_noise(drawing, 4, 8) * sigmas[0]
    for sigma, following, t in zip(sigmas, sigmas[1:], times, strict=False):
        answers = []
        for hidden, pooled in kept:
            added = None
            if parts.family.sized:
                vector = torch.zeros_like(pooled) if hidden.abs().sum() == 0 else pooled
                size = [drawing.height, drawing.width]
                added = {"text_embeds": vector, "time_ids": torch.tensor([[*size, 0, 0, *size]])}
            out = parts.unet(
                x / (sigma**2 + 1) ** 0.5, torch.tensor([t]), encoder_hidden_states=hidden, added_cond_kwargs=added
            ).sample
            v = parts.noise.prediction_type == "v_prediction"
            answers.append(x / (sigma**2 + 1) - out * sigma / (sigma**2 + 1) ** 0.5 if v else x - out * sigma)
        denoised = answers[0] + drawing.cfg_scale * (answers[1] - answers[0])
        x = x + (x - denoised) / sigma * (following - sigma)
    return x


@pytest.mark.parametrize("family", ["SD1", "SD2", "SDXL"])
@pytest.mark.parametrize(
    "loss",
    [
        LossSettings(prediction_type="epsilon"),
        LossSettings(prediction_type="v_prediction"),
        LossSettings(prediction_type="v_prediction", zero_terminal_snr="yes"),
    ],
    ids=["epsilon", "v", "zero"],
)
def test_euler_is_k_diffusions(tmp_path: Path, family: str, loss: LossSettings) -> None:
    parts = made(tmp_path, family, loss)
    ours, theirs = draw_latents(parts, DRAWING, choose("cpu", "fp32")), by_hand(parts, DRAWING)
    scale = float(theirs.abs().max())
    torch.testing.assert_close(ours / scale, theirs.float() / scale, atol=1e-4, rtol=1e-3)


def test_an_empty_negative_prompt_is_zeros_only_in_sdxl(tmp_path: Path) -> None:
    for family in ("SD1", "SDXL"):
        parts = made(tmp_path / family, family, LossSettings())
        told = conditions(parts, DRAWING)
        other = conditions(parts, Drawing(prompt="a red hat", negative_prompt="blue"))
        assert (not told.hidden[0].any()) == (family == "SDXL")
        assert other.hidden[0].any() and told.hidden[1].any()
        assert family == "SD1" or (told.pooled is not None and not told.pooled[0].any())


def test_a_picture_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    parts = made(tmp_path, "SDXL", LossSettings())
    assert draw_picture(parts, DRAWING, choose("cpu", "fp32")).size == (64, 128)
    assert {p.dtype for module in parts.modules for p in module.parameters()} == {torch.float32}
