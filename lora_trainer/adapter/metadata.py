"""The metadata of a LoRA file: kohya's ``ss_…`` keys, which the WebUI's card editor and other tools read, and
modelspec's.

There is no time among them: the same seed gives the same file to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from lora_trainer import __version__
from lora_trainer.adapter.inject import alpha_of
from lora_trainer.adapter.kohya import tag_metadata
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.dataset.scan import Item, dataset_dirs, tag_frequency
from lora_trainer.settings import Settings

PRECISION_NAMES = {"auto": "no", "fp32": "no", "bf16": "bf16", "fp16": "fp16"}  # ss_mixed_precision


def run_metadata(settings: Settings, parts: Parts, items: Sequence[Item], output_name: str) -> dict[str, str]:
    """All but what an epoch adds (``ss_epoch``, ``ss_steps``). ``output_name`` is unique to the file: the WebUI takes
    it as its alias."""
    data, network, training, family = settings.data, settings.network, settings.training, parts.family
    optimizer = settings.optimizer
    return tag_metadata(
        {
            "ss_output_name": output_name,
            "ss_network_module": "networks.lora",
            "ss_network_dim": network.network_dim,
            "ss_network_alpha": alpha_of(network),
            "ss_base_model_version": family.base_model_version,
            "ss_v2": False,
            "ss_sd_model_name": parts.title,
            "ss_unet_lr": optimizer.unet_lr,
            "ss_text_encoder_lr": optimizer.text_encoder_lr,
            "ss_learning_rate": optimizer.unet_lr,
            "ss_lr_scheduler": optimizer.lr_scheduler,
            "ss_optimizer": f"torch.optim.adamw.AdamW(weight_decay={optimizer.weight_decay})",
            "ss_max_grad_norm": optimizer.max_grad_norm,
            "ss_noise_offset": settings.loss.noise_offset or None,
            "ss_mixed_precision": PRECISION_NAMES[training.mixed_precision],
            "ss_seed": training.seed,
            "ss_num_epochs": training.epochs,
            "ss_num_train_images": sum(item.repeats for item in items),
            "ss_batch_size_per_device": data.batch_size,
            "ss_total_batch_size": data.batch_size,
            "ss_resolution": f"({data.resolution}, {data.resolution})",
            "ss_enable_bucket": data.enable_bucket,
            "ss_clip_skip": None,
            "ss_cache_latents": True,
            "ss_dataset_dirs": dataset_dirs(items),
            "ss_tag_frequency": tag_frequency(items),
            "modelspec.sai_model_spec": "1.0.1",
            "modelspec.architecture": family.architecture,
            "modelspec.implementation": "diffusers",
            "modelspec.title": output_name,
            "modelspec.prediction_type": "v" if parts.noise.prediction_type == "v_prediction" else "epsilon",
            "modelspec.trigger_phrase": data.trigger,
            "lora_trainer_version": __version__,
        }
    )
