"""The metadata of a LoRA file: kohya's ``ss_…`` keys, which the WebUI's card editor and other tools read, and
modelspec's.

All settings are there under a key of our own, for "train again like this one", without any places on this computer.
There is no time among them: the same seed gives the same file to the bit.
"""

from __future__ import annotations

from typing import Any

from lora_trainer import __version__
from lora_trainer.adapter.arguments import Network, network_of
from lora_trainer.adapter.kohya import tag_metadata
from lora_trainer.checkpoint.adopt import Parts
from lora_trainer.dataset.metadata import bucket_info, dataset_dirs, reg_dataset_dirs, tag_frequency
from lora_trainer.presets.own import SETTINGS_KEY, shareable
from lora_trainer.settings import Settings
from lora_trainer.training.optimizers import optimizer_label
from lora_trainer.training.plan import Plan
from lora_trainer.training.schedules import warmup_steps

PRECISION_NAMES = {"auto": "no", "fp32": "no", "bf16": "bf16", "fp16": "fp16"}  # ss_mixed_precision


def run_metadata(plan: Plan, parts: Parts, output_name: str) -> dict[str, str]:
    """All but what a moment adds (``ss_epoch``, ``ss_steps``). ``output_name`` is unique to the file: the WebUI takes
    it as its alias."""
    settings = plan.settings
    network = network_of(settings.network, settings.optimizer)
    return tag_metadata(
        {
            "ss_output_name": output_name,
            "ss_session_id": 0,
            "ss_sd_model_name": parts.title,
            "ss_base_model_version": parts.family.base_model_version,
            "ss_v2": parts.family.card_version == "SD2",
            "ss_training_comment": settings.output.training_comment or None,
            **_of_network(settings, network),
            **_of_learning(plan),
            **_of_loss(settings),
            **_of_data(plan),
            **_modelspec(settings, parts, output_name),
            "lora_trainer_version": __version__,
            SETTINGS_KEY: shareable(settings),
        }
    )


def _of_network(settings: Settings, network: Network) -> dict[str, Any]:
    """Which network it is, in the words of the module that makes it: kohya's own, or LyCORIS'."""
    given = settings.network
    own = network.algorithm == "lora" and not network.decompose
    args: dict[str, Any] = {} if own else {"algo": network.algorithm}
    if network.conv_rank:
        args |= {"conv_dim": network.conv_rank, "conv_alpha": network.conv_alpha}
    if network.decompose:
        args |= {"dora_wd": True, "wd_on_output": False}
    args |= {name: value for name, _, value in (text.partition("=") for text in given.network_args)}
    for name in ("down_lr_weight", "mid_lr_weight", "up_lr_weight"):
        args |= {name: getattr(given, name)} if getattr(given, name) else {}
    for name in (
        "block_dims",
        "block_alphas",
        "conv_block_dims",
        "conv_block_alphas",
        "rank_dropout",
        "module_dropout",
    ):
        args |= {name: getattr(given, name)} if getattr(given, name) else {}
    return {
        "ss_network_module": "networks.lora" if own else "lycoris.kohya",
        "ss_network_dim": network.rank,
        "ss_network_alpha": network.stored_alpha(network.alpha, network.rank),
        "ss_network_dropout": given.network_dropout or None,
        "ss_scale_weight_norms": given.scale_weight_norms or None,
        **({"ss_network_args": args} if args else {}),
    }


def _of_learning(plan: Plan) -> dict[str, Any]:
    training, optimizer = plan.settings.training, plan.settings.optimizer
    text_rates = [rate for rate in (optimizer.text_encoder_lr, optimizer.text_encoder_lr2) if rate]
    return {
        "ss_learning_rate": optimizer.unet_lr,
        "ss_unet_lr": optimizer.unet_lr,
        "ss_text_encoder_lr": text_rates if len(text_rates) > 1 else optimizer.text_encoder_lr,
        "ss_optimizer": optimizer_label(optimizer),
        "ss_lr_scheduler": optimizer.lr_scheduler,
        "ss_lr_warmup_steps": warmup_steps(plan.steps, optimizer),
        "ss_max_grad_norm": optimizer.max_grad_norm,
        "ss_num_epochs": plan.epochs,
        "ss_max_train_steps": plan.steps,
        "ss_num_batches_per_epoch": plan.steps_per_epoch * training.gradient_accumulation_steps,
        "ss_gradient_accumulation_steps": training.gradient_accumulation_steps,
        "ss_gradient_checkpointing": training.gradient_checkpointing,
        "ss_mixed_precision": PRECISION_NAMES[training.mixed_precision],
        "ss_full_fp16": False,
        "ss_fp8_base": False,
        "ss_fp8_base_unet": False,
        "ss_lowram": False,
        "ss_seed": training.seed,
    }


def _of_loss(settings: Settings) -> dict[str, Any]:
    loss = settings.loss
    return {
        "ss_loss_type": loss.loss_type,
        "ss_huber_schedule": loss.huber_schedule,
        "ss_huber_c": loss.huber_c,
        "ss_huber_scale": loss.huber_scale,
        "ss_min_snr_gamma": loss.min_snr_gamma or None,
        "ss_debiased_estimation": loss.debiased_estimation_loss,
        "ss_prior_loss_weight": loss.prior_loss_weight,
        "ss_noise_offset": loss.noise_offset or None,
        "ss_noise_offset_random_strength": loss.noise_offset_random_strength,
        "ss_adaptive_noise_scale": loss.adaptive_noise_scale or None,
        "ss_multires_noise_iterations": loss.multires_noise_iterations or None,
        "ss_multires_noise_discount": loss.multires_noise_discount,
        "ss_ip_noise_gamma": loss.ip_noise_gamma or None,
        "ss_ip_noise_gamma_random_strength": loss.ip_noise_gamma_random_strength,
        "ss_zero_terminal_snr": loss.zero_terminal_snr == "yes",
    }


def _of_data(plan: Plan) -> dict[str, Any]:
    data, captions = plan.settings.data, plan.settings.captions
    learnt = plan.dataset.learnt
    items = [example.item for example in learnt]
    return {
        "ss_num_train_images": sum(item.repeats for item in items if not item.is_reg),
        "ss_num_reg_images": sum(item.repeats for item in items if item.is_reg),
        "ss_num_validation_images": len(plan.dataset.held_out),
        "ss_validation_split": data.validation_split,
        "ss_batch_size_per_device": data.batch_size,
        "ss_total_batch_size": data.batch_size * plan.team.size,
        "ss_resolution": f"({data.resolution}, {data.resolution})",
        "ss_enable_bucket": data.enable_bucket,
        "ss_bucket_no_upscale": data.bucket_no_upscale,
        "ss_min_bucket_reso": data.min_bucket_reso,
        "ss_max_bucket_reso": data.max_bucket_reso,
        "ss_bucket_info": bucket_info(learnt),
        "ss_cache_latents": True,
        "ss_flip_aug": data.flip_aug,
        "ss_color_aug": False,
        "ss_random_crop": False,
        "ss_face_crop_aug_range": None,
        "ss_shuffle_caption": captions.shuffle_caption,
        "ss_keep_tokens": captions.keep_tokens,
        "ss_caption_dropout_rate": captions.caption_dropout_rate,
        "ss_caption_dropout_every_n_epochs": captions.caption_dropout_every_n_epochs,
        "ss_caption_tag_dropout_rate": captions.caption_tag_dropout_rate,
        "ss_max_token_length": captions.max_token_length,
        "ss_clip_skip": captions.clip_skip if captions.clip_skip > 1 else None,
        "ss_dataset_dirs": dataset_dirs(items),
        "ss_reg_dataset_dirs": reg_dataset_dirs(items),
        "ss_tag_frequency": tag_frequency(items),
    }


def _modelspec(settings: Settings, parts: Parts, output_name: str) -> dict[str, Any]:
    low, high = settings.loss.min_timestep, settings.loss.max_timestep
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": parts.family.architecture,
        "modelspec.implementation": "diffusers",
        "modelspec.title": output_name,
        "modelspec.resolution": "x".join([str(settings.data.resolution)] * 2),
        "modelspec.prediction_type": "v" if parts.noise.prediction_type == "v_prediction" else "epsilon",
        "modelspec.trigger_phrase": settings.data.trigger,
        "modelspec.encoder_layer": str(settings.captions.clip_skip),
        **({} if (low, high) == (0, 1000) else {"modelspec.timestep_range": f"{low},{high}"}),
    }
