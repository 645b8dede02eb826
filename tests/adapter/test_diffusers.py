"""A file trained here loads in diffusers' own ``load_lora_weights`` and does there what it does here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline
from diffusers.utils import USE_PEFT_BACKEND

from lora_trainer.adapter.inject import TEXT_TARGETS, UNET_TARGETS, inject
from lora_trainer.adapter.kohya import state_of, write_lora
from lora_trainer.checkpoint.adopt import adopt
from lora_trainer.checkpoint.files import open_checkpoint
from lora_trainer.settings import NetworkSettings
from tests.tiny import TEXT_WIDTH, write_checkpoint


@pytest.mark.skipif(
    not USE_PEFT_BACKEND, reason="this transformers is too old for diffusers' LoRA loader (stack webui)"
)
def test_diffusers_loads_our_file(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write_checkpoint(tmp_path))
    ours, theirs = adopt(checkpoint, tmp_path), adopt(checkpoint, tmp_path)
    for parts in (ours, theirs):
        for module in (parts.unet, parts.text_encoder):
            module.float()
    for module, targets in ((ours.unet, UNET_TARGETS), (ours.text_encoder, TEXT_TARGETS)):
        for parameter in inject(module, targets, NetworkSettings(network_dim=4, network_alpha=2.0), seed=1):
            torch.nn.init.normal_(parameter, std=0.2)
    write_lora(tmp_path / "x-000001.safetensors", state_of(ours, torch.float32), {"ss_network_dim": "4"})

    pipeline = StableDiffusionPipeline(
        vae=theirs.vae,
        text_encoder=theirs.text_encoder,
        tokenizer=theirs.tokenizer,
        unet=theirs.unet,
        scheduler=EulerDiscreteScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    latents, context, tokens = (
        torch.randn(2, 4, 16, 16),
        torch.randn(2, 77, TEXT_WIDTH),
        torch.tensor([[49406, 320, 49407]]),
    )

    def outputs(unet: torch.nn.Module, text: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            noise = unet(latents, torch.tensor([10, 700]), encoder_hidden_states=context).sample
            return noise, text(tokens).last_hidden_state

    plain = outputs(pipeline.unet, pipeline.text_encoder)
    pipeline.load_lora_weights(tmp_path, weight_name="x-000001.safetensors")
    loaded, expected = outputs(pipeline.unet, pipeline.text_encoder), outputs(ours.unet, ours.text_encoder)
    for before, after, wanted in zip(plain, loaded, expected, strict=True):
        assert (after - before).abs().max() > 0.01
        torch.testing.assert_close(after, wanted, rtol=0, atol=1e-4)
