"""Full-size SD1.5 and SDXL with random weights on a graphics card, in half precision: ``pytest -m gpu``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.checkpoint.family import SD1, SDXL, Family
from lora_trainer.checkpoint.noise import noise_schedule
from lora_trainer.checkpoint.precision import choose
from lora_trainer.checkpoint.text import Text
from lora_trainer.settings import from_flat
from lora_trainer.training.learner import learning
from lora_trainer.training.objective import draw, losses

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

UNETS: dict[str, dict[str, Any]] = {
    "SD1": {"cross_attention_dim": 768},
    "SDXL": {
        "cross_attention_dim": 2048,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
PARAMETERS = {"SD1": 859_520_964, "SDXL": 2_567_463_684}  # as published


def full_size(family: Family) -> Parts:
    """A U-Net of the family's size on the card, in fp16; nothing else is needed to learn from embeddings."""
    with torch.device("cuda"):
        unet = UNet2DConditionModel(**UNETS[family.name]).half().requires_grad_(False).eval()
    assert sum(parameter.numel() for parameter in unet.parameters()) == PARAMETERS[family.name]
    nothing: Any = SimpleNamespace()
    return Parts(family, "full size", unet, (), nothing, noise_schedule(), family.scale_factor)


@pytest.mark.parametrize("kind", ["LoRA", "LoKr"])
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("family", [SD1, SDXL], ids=lambda family: family.name)
def test_it_learns_one_picture(family: Family, precision: str, kind: str) -> None:
    settings = from_flat(
        {"unet_lr": 1e-3, "network_type": kind, "gradient_checkpointing": family is SDXL, "lr_scheduler": "constant"}
    )
    parts = full_size(family)
    before = [parameter.detach().clone() for parameter in list(parts.unet.parameters())[:20]]
    side = family.resolution // 8
    generator = torch.Generator().manual_seed(1)
    moments = torch.cat([torch.randn(1, 4, side, side, generator=generator), torch.zeros(1, 4, side, side)], 1).cuda()
    width = UNETS[family.name]["cross_attention_dim"]
    text = Text(
        torch.randn(1, 77, width, generator=generator).cuda(),
        torch.randn(1, 1280, generator=generator).cuda() if family.sized else None,
    )
    sizes = torch.tensor([[side * 8.0, side * 8.0, 0, 0, side * 8.0, side * 8.0]]).cuda()
    seen = []
    with learning(parts, choose("cuda", precision), settings, steps=12) as learner:
        for _ in range(12):
            drawn = draw(moments, [7], 1, settings.loss, parts.noise.steps)  # always the same noise: it can be learnt
            loss = losses(learner.predict(text, sizes), drawn, learner.objective).mean()
            learner.learn(loss)
            seen.append(learner.step(loss)[0])
        assert all(parameter.dtype == torch.float32 for parameter in learner.parameters)
    assert seen[-1] < seen[0]
    after = list(parts.unet.parameters())[:20]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
