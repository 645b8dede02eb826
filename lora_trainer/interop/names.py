"""Which of sd-scripts' arguments are settings here, and why the others are none."""

from __future__ import annotations

SAME_NAME = """
    reg_data_dir resolution enable_bucket min_bucket_reso max_bucket_reso bucket_reso_steps bucket_no_upscale
    flip_aug alpha_mask validation_split
    caption_extension class_tokens caption_prefix caption_suffix shuffle_caption keep_tokens keep_tokens_separator
    caption_dropout_rate caption_dropout_every_n_epochs caption_tag_dropout_rate weighted_captions max_token_length
    clip_skip
    network_dim network_alpha network_dropout scale_weight_norms network_weights dim_from_weights base_weights
    base_weights_multiplier
    max_train_steps gradient_accumulation_steps gradient_checkpointing mixed_precision seed save_state
    unet_lr text_encoder_lr optimizer_type optimizer_args max_grad_norm lr_scheduler lr_warmup_steps
    lr_scheduler_num_cycles lr_scheduler_power lr_scheduler_min_lr_ratio
    loss_type huber_schedule huber_c huber_scale min_snr_gamma debiased_estimation_loss v_pred_like_loss
    prior_loss_weight noise_offset noise_offset_random_strength adaptive_noise_scale multires_noise_iterations
    multires_noise_discount ip_noise_gamma ip_noise_gamma_random_strength min_timestep max_timestep
    zero_terminal_snr sample_prompts sample_every_n_steps
    save_precision save_every_n_epochs save_every_n_steps save_last_n_epochs training_comment
"""
# kohya's argument: our setting, with the same meaning and unit.
SAME = {
    "train_batch_size": "batch_size",
    "num_repeats": "repeats",
    "conditioning_data_dir": "mask_dir",
    "max_train_epochs": "epochs",
    "pretrained_model_name_or_path": "checkpoint",
    "train_data_dir": "images",
    "output_name": "name",
    "output_dir": "out",
    **{name: name for name in SAME_NAME.split()},
}

OWN_SETTINGS = """
    conv_dim conv_alpha rank_dropout module_dropout down_lr_weight mid_lr_weight up_lr_weight block_dims block_alphas
    conv_block_dims conv_block_alphas loraplus_lr_ratio
"""
# Entries of network_args that are settings of their own here.
NETWORK_ARGS = {name: name for name in OWN_SETTINGS.split()} | {
    "rs_lora": "rank_stabilized",
    "dropout": "network_dropout",
    "algo": "network_type",
}

# What sd-scripts calls a setting in the page of settings, where it is neither of the above.
ELSEWHERE = {
    "weight_decay": "optimizer_args weight_decay",
    "lr_warmup": "lr_warmup_steps",
    "lr_decay": "lr_decay_steps",
    "text_encoder_lr2": "text_encoder_lr",
    "network_type": "network_module",
    "network_args": "network_args",
    "prediction_type": "v_parameterization",
    **{
        ours: f"sample_prompts --{theirs}"
        for ours, theirs in zip(
            ("negative_prompt", "sample_width", "sample_height", "sample_seed", "cfg_scale", "sample_steps"),
            "nwhdls",
            strict=True,
        )
    },
}

# Why an argument is no setting: the sentence's key, and the arguments.
REASONS = {
    "attention": "xformers sdpa mem_eff_attn",
    "memory": """
        lowram highvram lowvram cpu_offload_checkpointing fused_backward_pass disable_mmap_load_safetensors
        blocks_to_swap fused_optimizer_groups mem_eff_save
        """,
    "cached": """
        cache_latents cache_latents_to_disk cache_text_encoder_outputs cache_text_encoder_outputs_to_disk
        skip_cache_check cache_info vae_batch_size text_encoder_batch_size
        """,
    "loader": "max_data_loader_n_workers persistent_data_loader_workers",
    "logging": """
        logging_dir log_with log_prefix log_tracker_name log_tracker_config log_config wandb_run_name wandb_api_key
        console_log_level console_log_file console_log_simple
        """,
    "upload": """
        huggingface_repo_id huggingface_repo_type huggingface_path_in_repo huggingface_token
        huggingface_repo_visibility save_state_to_huggingface resume_from_huggingface async_upload
        """,
    "family": "v2 sdxl tokenizer_cache_dir model_train_type model_list",
    "full_precision": "full_fp16 full_bf16",
    "fp8": "fp8_base fp8_base_unet",
    "vae": "vae no_half_vae",
    "compile": "torch_compile dynamo_backend dynamo_mode dynamo_use_fullgraph dynamo_use_dynamic",
    "processes": """
        ddp_timeout ddp_gradient_as_bucket_view ddp_static_graph deepspeed zero_stage num_processes num_machines
        multi_gpu gpu_ids main_process_port num_cpu_threads_per_process extra_accelerate_launch_args
        offload_optimizer_device offload_optimizer_nvme_path offload_param_device offload_param_nvme_path
        zero3_init_flag zero3_save_16bit_model fp16_master_weights_and_gradients
        """,
    "color_aug": "color_aug",
    "random_crop": "random_crop",
    "face_crop": "face_crop_aug_range",
    "caption_grammar": "caption_separator secondary_separator enable_wildcard",
    "token_warmup": "token_warmup_min token_warmup_step",
    "interpolation": "resize_interpolation",
    "resume": "resume initial_epoch initial_step skip_until_initial_step",
    "state": """
        save_last_n_epochs_state save_last_n_steps_state save_state_on_train_end save_last_n_steps
        """,
    "previews": """
        sample_sampler sample_every_n_epochs sample_at_first enable_preview
        randomly_choice_prompt
        """,
    "validation": """
        validation_seed validate_every_n_steps validate_every_n_epochs max_validation_steps
        """,
    "finetune": "in_json dataset_repeats dataset_class metadata_file train_inpainting network_multiplier",
    "extension": "caption_extention",
    "debug": "debug_dataset output_config config_file show_timesteps",
    "card": """
        no_metadata metadata_title metadata_author metadata_description metadata_license metadata_tags
        metadata_usage_hint metadata_thumbnail metadata_merged_from metadata_trigger_phrase metadata_preprocessor
        metadata_is_negative_embedding
        """,
    "format": "save_model_as",
    "te_stop": "stop_text_encoder_training stop_text_encoder_training_pct",
    "v_pred_scale": "scale_v_pred_loss_like_noise_pred",
    "custom_attributes": "custom_attributes",
    "timescale": "lr_scheduler_timescale lr_scheduler_args",
    "other_networks": """
        unit rank_dropout_scale train_on_input constrain rescaled train_lora_ggpo ggpo_sigma ggpo_beta bypass_mode
        enable_all_linear
        """,
    "gui": """
        save_as_bool use_wandb headless flux1_checkbox sd3_checkbox lumina_checkbox hunyuan_image_checkbox
        anima_checkbox weights enable_block_weights enable_base_weight
        """,
    "other_family": """
        discrete_flow_shift model_prediction_type timestep_sampling guidance_scale apply_t5_attn_mask split_mode
        split_qkv train_blocks train_t5xxl t5xxl t5xxl_lr t5xxl_max_token_length t5xxl_device t5xxl_dtype ae clip_l
        clip_g clip_g_dropout_rate clip_l_dropout_rate logit_mean logit_std mode_scale weighting_scheme
        single_blocks_to_swap double_blocks_to_swap show_timesteps_resolution no_token_padding
        img_attn_dim img_mlp_dim img_mod_dim single_dim txt_attn_dim txt_mlp_dim txt_mod_dim single_mod_dim in_dims
        train_double_block_indices train_single_block_indices pos_emb_random_crop_rate save_clip save_t5xxl model_type
        """,
}
OTHER_FAMILY_PREFIXES = ("flux1_", "sd3_", "lumina_", "hunyuan_", "anima_")


def reason_of(name: str) -> str:
    """The sentence's key for an argument that is no setting here; empty for an unknown argument."""
    if name.startswith(OTHER_FAMILY_PREFIXES) and not name.endswith("_checkbox"):
        return "other_family"
    return next((reason for reason, known in REASONS.items() if name in known.split()), "")


def kohya_name(setting: str) -> str:
    """What sd-scripts calls one of our settings; empty where it has none."""
    for table in (SAME, NETWORK_ARGS):
        for theirs, ours in table.items():
            if ours == setting and setting != "network_type":
                return theirs if table is SAME else f"network_args {theirs}"
    return ELSEWHERE.get(setting, "")
