"""A file trained here loads in diffusers' own LoRA loader and does there what it does here."""

from __future__ import annotations

from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.utils import USE_PEFT_BACKEND
from safetensors.torch import load_file

from tests.adapter.models import FAMILIES, assert_same, change_of, network, outputs, parts_of, save, with_adapter


@pytest.mark.skipif(
    not USE_PEFT_BACKEND, reason="this transformers is too old for diffusers' LoRA loader (stack webui)"
)
@pytest.mark.parametrize("kind", ["LoRA", "LoCon"])
@pytest.mark.parametrize("family", FAMILIES)
def test_diffusers_loads_our_file(family: str, kind: str, tmp_path: Path) -> None:
    ours, theirs = parts_of(FAMILIES[family]), parts_of(FAMILIES[family])
    plain = outputs(theirs)
    with_adapter(ours, network(kind))
    tensors = load_file(save(ours, tmp_path / "x-000001.safetensors"))

    pipeline = StableDiffusionXLPipeline if family == "SDXL" else StableDiffusionPipeline
    state, alphas = pipeline.lora_state_dict(tensors, unet_config=theirs.unet.config)
    pipeline.load_lora_into_unet(state, network_alphas=alphas, unet=theirs.unet)
    for prefix, encoder in zip(("text_encoder", "text_encoder_2"), theirs.text_encoders, strict=False):
        own = {name: tensor for name, tensor in state.items() if name.startswith(f"{prefix}.")}
        assert own
        pipeline.load_lora_into_text_encoder(own, network_alphas=alphas, text_encoder=encoder.module, prefix=prefix)

    loaded = outputs(theirs)
    assert change_of(plain, loaded) > 0.01
    assert_same(outputs(ours), loaded, relative=1e-3)
