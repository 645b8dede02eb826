"""LoRA layers in our modules, through peft (D3). The frozen weights beneath stay shared with their owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer

from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.settings import NetworkSettings

ADAPTER = "default"
# kohya's modules: every linear and 1x1 convolution of the U-Net's transformer blocks; the text encoder's linears.
UNET_TARGETS = r".*\.(to_q|to_k|to_v|to_out\.0|ff\.net\.0\.proj|ff\.net\.2|proj_in|proj_out)"
TEXT_TARGETS = r".*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"


def inject(module: torch.nn.Module, targets: str, network: NetworkSettings, seed: int) -> list[torch.nn.Parameter]:
    """Put fresh LoRA layers (up = 0) in place of the layers that ``targets`` matches; return their parameters, in fp32.

    Raises ``ValueError`` when nothing matches. The same seed gives the same weights.
    """
    config = LoraConfig(
        r=network.network_dim,
        lora_alpha=alpha_of(network),
        target_modules=targets,
        lora_dropout=0.0,
        init_lora_weights=True,
    )
    inject_adapter_in_model(config, module, adapter_name=ADAPTER)
    # Weights are drawn anew, on the CPU, so that they depend on nothing but the seed.
    generator = torch.Generator().manual_seed(seed)
    for layer in lora_layers(module).values():
        down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
        bound = down[0].numel() ** -0.5  # kaiming_uniform with a = sqrt(5), as kohya's and peft's
        fresh = torch.empty(down.shape).uniform_(-bound, bound, generator=generator)
        down.data = fresh.to(device=down.device)
        up.data = torch.zeros(up.shape, device=up.device)
    return [p for p in module.parameters() if p.requires_grad]


def alpha_of(network: NetworkSettings) -> float:
    """The alpha in force: 0 means the rank."""
    return network.network_alpha or float(network.network_dim)


def lora_layers(module: torch.nn.Module) -> dict[str, LoraLayer]:
    """Every LoRA layer by the name of the module that it stands for."""
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, LoraLayer)}


def eject(module: torch.nn.Module) -> None:
    """Put the original layers back, untouched."""
    for name, layer in lora_layers(module).items():
        parent = module.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], layer.get_base_layer())


@contextmanager
def weighted(parts: Parts, weight: float) -> Iterator[None]:
    """Apply the LoRA in both networks with ``weight`` for a while (1 is the weight at which it was trained)."""
    layers = [layer for module in (parts.unet, parts.text_encoder) for layer in lora_layers(module).values()]
    before = [layer.scaling[ADAPTER] for layer in layers]
    try:
        for layer, scale in zip(layers, before, strict=True):
            layer.scaling[ADAPTER] = scale * weight
        yield
    finally:
        for layer, scale in zip(layers, before, strict=True):
            layer.scaling[ADAPTER] = scale
