"""How much of the graphics card's memory a run needs: weights + adapter + activations + a rest.

Activations of one image were counted on the families' U-Nets by their saved tensors, under autocast with fp32 adapters:
SD 1.5 at 512 pixels 1.20 GiB, SD 2.1 at 768 pixels 2.63, SDXL at 1024 pixels 8.15; 0.14, 0.31 and 0.53 where blocks are
recomputed. The sums agree to 5 % with published measurements (SimpleTuner: SD 1.x 2.87 and SDXL 13.03 GiB, 1.98 and
6.53 with recomputing). They grow with the number of pixels, as attention keeps no scores.
"""

from __future__ import annotations

from lora_trainer.forecast.model import Model, vae_share
from lora_trainer.settings import NetworkSettings, OptimizerSettings, Settings

GIB = 1024**3
# Side in pixels; GiB of an image kept whole; GiB where blocks are recomputed.
ACTIVATIONS = {"SD1": (512, 1.20, 0.14), "SD2": (768, 2.63, 0.31), "SDXL": (1024, 8.15, 0.53)}
TEXT_ACTIVATIONS = 0.12  # GiB of an image's caption where a text encoder learns
REST = 0.4  # GiB of passing tensors
# Bytes of each weight of the adapter: the weight and its gradient in fp32, and what the optimizer keeps of it.
WEIGHT, AVERAGE = 8, 4
STATES = {"sgd": 4, "lion": 4, "adafactor": 1, "came": 5, "prodigy": 16, "dadapt": 12}
STATE = 8  # Adam's two moments


def needed(model: Model, settings: Settings) -> int:
    """Bytes of the graphics card's memory, the weights that a WebUI holds anyway among them."""
    learnt = adapter_weights(model, settings.network, settings.optimizer)
    per_weight = WEIGHT + optimizer_bytes(settings.optimizer.optimizer_type)
    per_weight += AVERAGE if settings.training.ema_decay else 0
    activations = settings.data.batch_size * activations_of_image(model, settings)
    return round(weights_size(model, settings) + learnt * per_weight + GIB * (activations + REST * min(1, model.scale)))


def weights_size(model: Model, settings: Settings) -> float:
    """Bytes of the frozen weights: as they are, or in fp32 throughout; the VAE always in fp32."""
    if settings.training.mixed_precision == "fp32":
        return 4.0 * model.weights
    return model.size * (1 - vae_share(model.family)) + 4.0 * model.weights * vae_share(model.family)


def activations_of_image(model: Model, settings: Settings) -> float:
    """GiB that a step keeps of each image until its gradients are known."""
    side, whole, recomputed = ACTIVATIONS[model.family]
    kept = recomputed if settings.training.gradient_checkpointing else whole
    factor = 2 if settings.training.mixed_precision == "fp32" else 1
    texts = TEXT_ACTIVATIONS * sum(rate > 0 for rate in text_rates(settings.optimizer))
    # A narrower model keeps less in the same proportion as the root of its weights: they grow with the width squared.
    return (kept * factor * (settings.data.resolution / side) ** 2 + texts) * min(1.0, model.scale) ** 0.5


def adapter_weights(model: Model, network: NetworkSettings, optimizer: OptimizerSettings) -> int:
    """How many numbers learn. About, for networks other than LoRA and LoCon."""
    kind, rank = network.network_type, network.network_dim
    conv_rank = network.conv_dim or (rank if kind == "LoCon" else 0)
    unet = model.linear_ranks * rank + model.convolution_ranks * conv_rank if optimizer.unet_lr else 0
    learning = [ranks for ranks, rate in zip(model.text_ranks, text_rates(optimizer), strict=False) if rate]
    factor = {"LoHa": 2.0, "LoKr": 0.1, "IA3": 0.5 / rank}.get(kind, 1.0)
    return round(factor * (unet + rank * sum(learning)))


def text_rates(optimizer: OptimizerSettings) -> tuple[float, float]:
    """Learning rates of the first and the second text encoder."""
    return optimizer.text_encoder_lr, optimizer.text_encoder_lr2


def optimizer_bytes(name: str) -> int:
    """Bytes that an optimizer keeps for each weight."""
    plain = name.rpartition(".")[2].lower()
    state = next((state for key, state in STATES.items() if key in plain), STATE)
    return max(1, state // 4) if "8bit" in plain else state
