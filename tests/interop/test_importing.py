"""Other programs' configs become settings, and nothing that they say is lost silently."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lora_trainer.errors import BadSettings
from lora_trainer.interop import Imported, import_file
from lora_trainer.interop.frontends import GUI_NETWORK_ARGS
from lora_trainer.interop.listing import to_commented_toml, to_dict
from lora_trainer.language import Chinese, English
from lora_trainer.settings_file import read_values

DATA = Path(__file__).parent / "data"
CONFIGS = sorted(p.name for p in DATA.iterdir() if p.suffix in (".toml", ".json"))


def load(name: str, tmp_path: Path) -> Imported:
    """The import of a file of ``data``; the metadata there becomes a LoRA's first."""
    path = DATA / name
    if not name.startswith("lora_"):
        return import_file(path)
    lora = tmp_path / "some.safetensors"
    tensors = {f"lora_{part}_x.alpha": torch.ones(()) for part in ("unet", "te")}
    save_file(tensors, lora, metadata=json.loads(path.read_text(encoding="utf-8")))
    return import_file(lora)


def named(imported: Imported) -> set[str]:
    """Every entry that the import names, by the last word of its key."""
    keys = [e.key for e in (*imported.taken, *imported.ignored, *imported.differs)]
    parts = [part for key in keys for part in key.split(", ")]
    return {part.rpartition(".")[2].rpartition(" ")[2] for part in parts} | set(parts)


def leaves(value: Any, name: str = "") -> Iterator[str]:
    """The names of all plain entries of a config, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, key)
    elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        for inner in value:
            yield from leaves(inner, name)
    else:
        yield name


@pytest.mark.parametrize("name", CONFIGS)
def test_every_entry_is_named_and_the_settings_stand(name: str, tmp_path: Path) -> None:
    imported = load(name, tmp_path)
    imported.settings()
    content: dict[str, Any] = json.loads((DATA / name).read_text(encoding="utf-8")) if name.endswith(".json") else {}
    if name.endswith(".toml"):
        from lora_trainer.interop.files import read_config

        content = read_config(DATA / name)
    split = {"network_args", "additional_parameters", "ss_network_args"}  # named by what is in them
    missing = set(leaves(content)) - split - named(imported)
    assert not missing
    for language in (English, Chinese):
        for note in (*imported.ignored, *imported.differs):
            assert note.text(language).endswith((".", "。"))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_listing_is_a_settings_file(name: str, tmp_path: Path) -> None:
    imported = load(name, tmp_path)
    for language in (English, Chinese):
        path = tmp_path / "ours.toml"
        path.write_text(to_commented_toml(imported, name, language), encoding="utf-8")
        assert {k: tuple(v) if isinstance(v, list) else v for k, v in read_values(path).items()} == imported.values
    json.dumps(to_dict(imported))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (
            name,
            {"gui": "gui", "trainer": "trainer", "kohya": "kohya", "dataset": "dataset", "lora": "lora"}[
                name.split("_")[0]
            ],
        )
        for name in CONFIGS
    ],
)
def test_the_kind_is_recognised(name: str, kind: str, tmp_path: Path) -> None:
    expected = "kohya" if name == "trainer_basic.toml" else kind  # SD-Trainer's plain form; see below
    assert load(name, tmp_path).kind in (kind, expected)


EXPECTED: dict[str, dict[str, Any]] = {
    "kohya_character.toml": {
        "checkpoint": "D:/models/anime-v3.safetensors",
        "images": "D:/train/mio",
        "resolution": 627,  # the square with 512 x 768 pixels
        "network_type": "LoCon",
        "network_dim": 32,
        "network_alpha": 16.0,
        "conv_dim": 8,
        "conv_alpha": 4.0,
        "down_lr_weight": "0,0.5,1,1,1,1,1,1,1,1,1,1",
        "optimizer_type": "AdamW8bit",
        "optimizer_args": ("betas=(0.9, 0.99)",),
        "weight_decay": 0.1,
        "unet_lr": 1e-4,
        "text_encoder_lr": 5e-5,
        "text_encoder_lr2": 5e-5,
        "lr_warmup_steps": 100,
        "lr_warmup": 0.0,
        "lr_scheduler_num_cycles": 3,
        "epochs": 12,
        "clip_skip": 2,
        "max_token_length": 225,
        "sample_prompts": ("mio, smile",),
        "negative_prompt": "lowres, bad hands",
        "sample_height": 768,
        "sample_seed": 7,
        "cfg_scale": 7.5,
        "name": "mio",
    },
    "kohya_sdxl.toml": {
        "network_type": "LoKr",
        "network_args": ("preset=attn-mlp", "factor=8", "decompose_both=True"),
        "unet_lr": 1.0,
        "text_encoder_lr": 0.0,
        "text_encoder_lr2": 0.0,
        "lr_warmup": 0.1,
        "weight_decay": 0.01,
        "optimizer_args": ("decouple=True", "d_coef=0.8", "use_bias_correction=True"),
        "max_train_steps": 3000,
        "prediction_type": "v_prediction",
        "zero_terminal_snr": "yes",
        "loss_type": "huber",
        "save_precision": "bf16",
    },
    "kohya_plain.toml": {  # where the file is silent, kohya's defaults
        "unet_lr": 1e-4,
        "text_encoder_lr": 5e-5,
        "text_encoder_lr2": 1e-5,
        "network_dim": 4,
        "network_alpha": 1.0,
        "max_train_steps": 1600,
        "lr_scheduler": "constant",
        "lr_warmup": 0.0,
        "caption_extension": ".caption",
        "enable_bucket": False,
        "keep_tokens": 0,
        "optimizer_type": "AdamW8bit",
        "mixed_precision": "fp32",
    },
    "dataset_one.toml": {
        "images": "/data/robot",
        "repeats": 8,
        "resolution": 768,
        "batch_size": 2,
        "class_tokens": "rbt robot",
        "flip_aug": True,
        "keep_tokens": 1,
    },
    "dataset_folders.toml": {
        "images": "C:\\data\\mio",
        "reg_data_dir": "C:\\data\\reg",
        "keep_tokens": 2,
        "batch_size": 4,
        "max_bucket_reso": 1536,
    },
    "dataset_loose.json": {"images": "/a/photos", "repeats": 3, "caption_prefix": "photo,", "enable_bucket": False},
    "gui_default.json": {
        "max_train_steps": 1600,  # not its 10 epochs
        "lr_warmup": 0.1,
        "network_type": "LoRA",
        "network_dim": 8,
        "text_encoder_lr": 1e-4,
        "optimizer_type": "AdamW8bit",
    },
    "gui_old.json": {
        "epochs": 12,
        "lr_warmup": 0.05,
        "network_type": "LoHa",
        "network_args": ("preset=full", "use_cp=True"),
        "conv_dim": 4,
        "multires_noise_iterations": 8,
        "multires_noise_discount": 0.2,
        "optimizer_type": "AdaFactor",
        "optimizer_args": ("scale_parameter=False", "relative_step=False", "warmup_init=False"),
        "weight_decay": 0.0,
        "network_weights": "D:/loras/start.safetensors",
        "sample_prompts": ("a cat, sitting", "a dog"),
        "sample_width": 640,
        "sample_steps": 30,
        "seed": 1234,
        "bucket_reso_steps": 64,
    },
    "gui_sdxl.json": {
        "epochs": 16,
        "network_type": "LoCon",
        "conv_dim": 8,
        "text_encoder_lr": 0.0,
        "text_encoder_lr2": 0.0,
        "max_grad_norm": 0.5,
        "keep_tokens_separator": "|||",
        "weight_decay": 0.1,
        "optimizer_args": ("betas=0.9,0.99",),
        "lr_scheduler": "constant",
        "lr_warmup": 0.0,
        "scale_weight_norms": 1.0,
        "mixed_precision": "bf16",
    },
    "trainer_master.toml": {
        "clip_skip": 1,  # the box of TOML outranks the form
        "min_snr_gamma": 5.0,
        "optimizer_type": "Prodigy",
        "optimizer_args": ("d_coef=2.0", "decouple=True"),
        "max_token_length": 225,
        "sample_prompts": ("masterpiece, 1girl",),
        "negative_prompt": "lowres, bad anatomy",
        "sample_seed": 2333,
        "mid_lr_weight": "1",
        "epochs": 10,
    },
    "trainer_sdxl.toml": {
        "network_type": "LoHa",
        "network_dropout": 0.1,
        "conv_dim": 4,
        "network_args": ("preset=full", "train_norm=True"),
        "optimizer_type": "AdaFactor",
        "lr_warmup_steps": 50,
        "text_encoder_lr": 0.0,
    },
    "lora_folder.json": {
        "epochs": 10,
        "optimizer_type": "AdamW8bit",
        "optimizer_args": ("betas=(0.9, 0.99)",),
        "weight_decay": 0.1,
        "batch_size": 2,
        "resolution": 627,
        "clip_skip": 2,
        "flip_aug": True,
        "name": "mio",
        "network_dim": 32,
        "text_encoder_lr": 5e-5,
    },
    "lora_datasets.json": {
        "max_train_steps": 750,  # of the 1000 that its epochs would have had
        "network_type": "DoRA",
        "conv_dim": 8,
        "optimizer_type": "Prodigy",
        "unet_lr": 1.0,
        "text_encoder_lr": 5e-5,
        "text_encoder_lr2": 1e-5,
        "resolution": 1024,
        "batch_size": 4,
        "shuffle_caption": True,
        "repeats": 10,
    },
    "lora_bare.json": {"network_type": "LoCon", "network_dim": 64, "conv_dim": 16, "conv_alpha": 8.0},
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_the_meaning_is_kept(name: str, tmp_path: Path) -> None:
    values = load(name, tmp_path).values
    assert {key: values.get(key) for key in EXPECTED[name]} == EXPECTED[name]


@pytest.mark.parametrize(
    ("name", "key", "reason"),
    [
        ("kohya_plain.toml", "pretrained_model_name_or_path", "not_a_file"),
        ("kohya_plain.toml", "output_name", "bad_name"),
        ("kohya_plain.toml", "max_bucket_reso", "setting_range"),
        ("kohya_plain.toml", "color_aug", "color_aug"),
        ("kohya_plain.toml", "lr_warmup_steps", "constant_warmup"),
        ("kohya_plain.toml", "my_own_idea", "unknown"),
        ("kohya_sdxl.toml", "network_args bypass_mode", "other_networks"),
        ("kohya_character.toml", "max_train_steps", "steps_unused"),
        ("dataset_folders.toml", "datasets[1]", "more_datasets"),
        ("dataset_loose.json", "subsets[1].image_dir", "more_folders"),
        ("gui_default.json", "seed", "random_seed"),
        ("gui_old.json", "noise_offset", "noise_type"),
        ("gui_sdxl.json", "max_train_steps", "steps_unused"),
        ("lora_folder.json", "ss_dataset_dirs", "place"),
    ],
)
def test_what_is_left_out_has_its_reason(name: str, key: str, reason: str, tmp_path: Path) -> None:
    assert (key, reason) in {(note.key, note.reason) for note in load(name, tmp_path).ignored}


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    imported = load("kohya_plain.toml", tmp_path)
    assert "0123456789abcdef" not in to_commented_toml(imported, "x") + json.dumps(to_dict(imported))


def arguments() -> list[tuple[str, str]]:
    lines = (DATA / "kohya_arguments.txt").read_text(encoding="utf-8").splitlines()
    return [(name, kind) for name, kind in (line.split() for line in lines if not line.startswith("#"))]


VALUES = {"bool": True, "int": 2, "float": 0.1, "str": "text", "int_or_float": 0.1, "Path": "data.toml"}


def test_every_argument_of_sd_scripts_is_known(tmp_path: Path) -> None:
    assert len(arguments()) == 184
    unknown = []
    for name, kind in arguments():
        path = tmp_path / "one.json"
        path.write_text(json.dumps({"output_dir": "x", name: VALUES[kind]}), encoding="utf-8")
        imported = import_file(path)
        imported.settings()
        assert name in {part for key in named(imported) for part in key.split()}, name
        unknown += [note.key for note in imported.ignored if note.reason == "unknown"]
    assert not unknown


@pytest.mark.parametrize(
    "name", ["gui_default.json", "trainer_master.toml", "kohya_character.toml", "lora_folder.json"]
)
def test_the_front_ends_own_names_are_known(name: str, tmp_path: Path) -> None:
    assert not [note.key for note in load(name, tmp_path).ignored if note.reason == "unknown"]
    assert GUI_NETWORK_ARGS


@pytest.mark.parametrize("value", [[[1]], {"a": 1}, "x", 1e400, -1e300, 10**400, True, None, "", [], "\0", [None], -7])
def test_no_value_breaks_the_import(value: Any, tmp_path: Path) -> None:
    for name, _ in arguments():
        path = tmp_path / "one.json"
        path.write_text(json.dumps({"output_dir": "x", "LoRA_type": "LyCORIS/LoKr", name: value}), encoding="utf-8")
        try:
            import_file(path).settings()
        except BadSettings as error:
            assert error.key == "import_family"


BROKEN = {
    "not_toml.toml": b"learning_rate = = 3",
    "binary.toml": b"\xff\xfe\x00\x00",
    "empty.toml": b"",
    "list.json": b"[1, 2]",
    "deep.json": b"[" * 100_000,
    "other.toml": b"[tool.ruff]\nline-length = 100\n",
    "ours.toml": b"images = 'x'\nepochs = 3\n",
    "flux.json": b'{"LoRA_type": "Flux1", "flux1_checkbox": true}',
    "flux.toml": b'network_module = "networks.lora_flux"\noutput_dir = "x"',
    "sd3.toml": b'model_train_type = "sd3-lora"\noutput_dir = "x"',
    "cut.safetensors": b'\x40\x00\x00\x00\x00\x00\x00\x00{"a":',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_file_gives_one_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    with pytest.raises(BadSettings) as caught:
        import_file(path)
    for language in (English, Chinese):
        assert "\n" not in caught.value.text(language)


def test_missing_files_and_bare_loras_say_so(tmp_path: Path) -> None:
    bare = tmp_path / "bare.safetensors"
    save_file({"lora_unet_x.alpha": torch.ones(())}, bare)
    for path, key in (
        (tmp_path / "none.toml", "settings_file"),
        (tmp_path, "settings_file"),
        (bare, "import_no_metadata"),
    ):
        with pytest.raises(BadSettings) as caught:
            import_file(path)
        assert caught.value.key == key


def test_a_lora_without_text_encoder_was_trained_without(tmp_path: Path) -> None:
    lora = tmp_path / "unet.safetensors"
    metadata = json.loads((DATA / "lora_folder.json").read_text(encoding="utf-8"))
    save_file({"lora_unet_x.alpha": torch.ones(())}, lora, metadata=metadata)
    values = import_file(lora).values
    assert (values["text_encoder_lr"], values["text_encoder_lr2"], values["unet_lr"]) == (0.0, 0.0, 1e-4)


def test_a_named_dataset_config_and_prompt_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "set.toml").write_bytes((DATA / "dataset_one.toml").read_bytes())
    (tmp_path / "p.txt").write_text("# note\na cat --n dog --w 640\n\na bird\n", encoding="utf-8")
    config = tmp_path / "run.toml"
    config.write_text(
        'output_dir = "x"\nresolution = 512\ndataset_config = "set.toml"\nsample_prompts = "p.txt"\n', encoding="utf-8"
    )
    imported = import_file(config)
    assert (imported.values["images"], imported.values["resolution"]) == ("/data/robot", 768)
    assert imported.values["sample_prompts"] == ("a cat", "a bird")
    assert imported.values["negative_prompt"] == "dog"
    assert {note.reason for note in imported.differs} == {"prompt_options"}
