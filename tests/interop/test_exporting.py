"""A run written for sd-scripts reads back as the same run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from lora_trainer.errors import BadSettings
from lora_trainer.interop import import_file, to_kohya
from lora_trainer.interop.exporting import CONFIG_FILE, OURS, write_kohya
from lora_trainer.language import Chinese, English
from lora_trainer.settings import Settings, changed, fields, to_flat

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DATA = Path(__file__).parent / "data"
# What sd-scripts cannot say, or says in other words; each has a note.
NOT_BACK = {*OURS.split(), "trigger"} - {"network_args"}
PLAIN: dict[str, Any] = {
    "checkpoint": "D:\\models\\a \"b\".safetensors",
    "images": "图片/set",
    "name": "mio",
    "out": "D:/loras",
    "mixed_precision": "bf16",
}  # fmt: skip
RUNS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "LoRA": {
        "resolution": 768,
        "repeats": 7,
        "batch_size": 3,
        "enable_bucket": False,
        "flip_aug": True,
        "alpha_mask": True,
        "mask_dir": "/masks",
        "reg_data_dir": "/reg",
        "validation_split": 0.2,
        "caption_extension": ".caption",
        "class_tokens": "girl",
        "caption_prefix": "photo,",
        "caption_suffix": ", indoors",
        "shuffle_caption": True,
        "keep_tokens": 2,
        "keep_tokens_separator": "|||",
        "caption_dropout_rate": 0.05,
        "caption_tag_dropout_rate": 0.1,
        "caption_dropout_every_n_epochs": 4,
        "weighted_captions": True,
        "max_token_length": 225,
        "clip_skip": 2,
    },
    "networks": {
        "network_type": "LoCon",
        "network_dim": 64,
        "network_alpha": 0.0,
        "conv_dim": 16,
        "conv_alpha": 8.0,
        "network_dropout": 0.1,
        "rank_dropout": 0.2,
        "module_dropout": 0.3,
        "scale_weight_norms": 1.0,
        "down_lr_weight": "0,0.5,1,1,1,1,1,1,1,1,1,1",
        "up_lr_weight": "cosine",
        "block_dims": "4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4,4",
        "network_weights": "/a/start.safetensors",
        "dim_from_weights": True,
        "base_weights": ("/a/x.safetensors", "/a/y.safetensors"),
        "base_weights_multiplier": "1.0, 0.5",
        "loraplus_lr_ratio": 16.0,
    },
    "LoKr": {"network_type": "LoKr", "network_args": ("preset=attn-mlp", "factor=8"), "rank_stabilized": True},
    "DoRA": {"network_type": "DoRA", "network_args": ("preset=full",), "conv_dim": 8, "conv_alpha": 4.0},
    "IA3": {"network_type": "IA3"},
    "learning": {
        "max_train_steps": 1234,
        "gradient_accumulation_steps": 4,
        "gradient_checkpointing": True,
        "mixed_precision": "fp16",
        "seed": 0,
        "save_state": False,
        "unet_lr": 3e-4,
        "text_encoder_lr": 1e-5,
        "text_encoder_lr2": 2e-6,
        "optimizer_type": "Prodigy",
        "optimizer_args": ("decouple=True", "betas=(0.9, 0.99)"),
        "weight_decay": 0.05,
        "max_grad_norm": 0.0,
        "lr_scheduler": "warmup_stable_decay",
        "lr_warmup": 0.1,
        "lr_decay": 0.3,
        "lr_scheduler_min_lr_ratio": 0.05,
    },
    "text encoder alone": {"unet_lr": 0.0, "text_encoder_lr": 1e-4, "text_encoder_lr2": 1e-4, "lr_warmup_steps": 50},
    "loss": {
        "loss_type": "smooth_l1",
        "huber_schedule": "constant",
        "huber_c": 0.3,
        "huber_scale": 2.0,
        "min_snr_gamma": 5.0,
        "debiased_estimation_loss": True,
        "v_pred_like_loss": 0.5,
        "prior_loss_weight": 0.7,
        "noise_offset": 0.05,
        "noise_offset_random_strength": True,
        "adaptive_noise_scale": 0.01,
        "multires_noise_iterations": 6,
        "multires_noise_discount": 0.4,
        "ip_noise_gamma": 0.1,
        "ip_noise_gamma_random_strength": True,
        "min_timestep": 100,
        "max_timestep": 900,
        "prediction_type": "v_prediction",
        "zero_terminal_snr": "yes",
    },
    "results": {
        "sample_prompts": ("mio, smile", "a cat"),
        "negative_prompt": "lowres, bad hands",
        "sample_steps": 30,
        "cfg_scale": 5.5,
        "sample_seed": 9,
        "sample_width": 512,
        "sample_height": 768,
        "save_precision": "fp32",
        "save_every_n_epochs": 2,
        "save_every_n_steps": 100,
        "sample_every_n_steps": 50,
        "save_last_n_epochs": 3,
        "training_comment": 'note "1"',
    },
}  # fmt: skip


def back(settings: Settings, folder: Path) -> dict[str, Any]:
    """The settings after a way through sd-scripts' files."""
    write_kohya(to_kohya(settings), folder)
    return to_flat(import_file(folder / CONFIG_FILE).settings())


def test_the_runs_below_change_every_setting_that_both_know() -> None:
    tested = {name for run in RUNS.values() for name in run} | set(PLAIN)
    fitting = {
        "min_bucket_reso",
        "max_bucket_reso",
        "bucket_reso_steps",
        "bucket_no_upscale",
        "epochs",
        "mid_lr_weight",
    }
    fitting |= {"lr_scheduler_num_cycles", "lr_scheduler_power", "block_alphas", "conv_block_dims", "conv_block_alphas"}
    assert set(fields()) == tested | fitting | NOT_BACK


@pytest.mark.parametrize("name", RUNS)
def test_a_run_comes_back(name: str, tmp_path: Path) -> None:
    settings = changed(Settings(), **PLAIN | RUNS[name])
    expected, found = to_flat(settings), back(settings, tmp_path)
    allowed = {setting for setting in NOT_BACK if expected[setting] == fields()[setting][1].default}
    allowed |= {"lr_warmup"} if expected["lr_warmup_steps"] else set()
    allowed |= {"epochs"} if expected["max_train_steps"] else set()
    allowed |= {"lr_scheduler_min_lr_ratio", "lr_decay"} if name != "learning" else set()
    differing = {k: (v, found[k]) for k, v in expected.items() if found[k] != v and k not in allowed}
    assert not differing


@pytest.mark.parametrize(
    "name", sorted(p.name for p in DATA.iterdir() if p.name.split("_")[0] in ("gui", "trainer", "kohya"))
)
def test_an_imported_run_comes_back(name: str, tmp_path: Path) -> None:
    if name == "kohya_arguments.txt":
        return
    settings = import_file(DATA / name).settings()
    expected, found = to_flat(settings), back(settings, tmp_path)
    unlike = {k: (v, found[k]) for k, v in expected.items() if found[k] != v and k != "lr_warmup"}
    assert not {k for k in unlike if k not in ("sample_width", "sample_height")}, unlike


def test_the_files_are_what_sd_scripts_read(tmp_path: Path) -> None:
    """Names that sd-scripts has, a subset for each folder of images, and the trigger word before every caption."""
    for folder in ("10_mio", "3_hat", "other"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    settings = changed(Settings(), images=str(tmp_path / "set"), trigger="mio", caption_prefix="photo,", **{"seed": 1})
    exported = to_kohya(settings)
    lines = (DATA / "kohya_arguments.txt").read_text(encoding="utf-8").splitlines()
    known = {line.split()[0] for line in lines}
    config, dataset = tomllib.loads(exported.config), tomllib.loads(exported.dataset)
    assert set(config) <= known
    subsets = dataset["datasets"][0]["subsets"]
    assert [(Path(s["image_dir"]).name, s["num_repeats"]) for s in subsets] == [("10_mio", 10), ("3_hat", 3)]
    assert {subset["caption_prefix"] for subset in subsets} == {"mio, photo,"}
    assert "trigger" in {note.key for note in exported.notes}
    assert all(note.text(language) for note in exported.notes for language in (English, Chinese))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_kohya(to_kohya(Settings()), tmp_path)
    with pytest.raises(BadSettings, match="there already"):
        write_kohya(to_kohya(Settings()), tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadSettings, match="cannot be written"):
        write_kohya(to_kohya(Settings()), tmp_path / "file" / "below")
