"""A run as sd-scripts would be told of it: a ``--config_file`` and a ``--dataset_config``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_trainer.disk import write_whole
from lora_trainer.errors import BadSettings
from lora_trainer.interop.learning import DECAYING
from lora_trainer.interop.names import SAME
from lora_trainer.interop.prompts import prompt_lines
from lora_trainer.interop.reading import Note
from lora_trainer.settings import Settings, fields, to_flat

PROMPT_FILE = "sample_prompts.txt"
CONFIG_FILE, DATASET_FILE = "config.toml", "dataset.toml"
IMAGES = (".png", ".jpg", ".jpeg", ".webp")
SUBSET = """
    caption_extension class_tokens caption_prefix caption_suffix shuffle_caption keep_tokens keep_tokens_separator
    caption_dropout_rate caption_dropout_every_n_epochs caption_tag_dropout_rate flip_aug alpha_mask
"""
DATASET = "enable_bucket min_bucket_reso max_bucket_reso bucket_reso_steps bucket_no_upscale validation_split"
# Settings of which kohya's form is another than ours.
SPECIAL = """
    resolution reg_data_dir sample_prompts zero_terminal_snr lr_warmup_steps unet_lr text_encoder_lr optimizer_args
    max_train_steps mixed_precision save_precision base_weights_multiplier max_token_length optimizer_type
    lr_scheduler_min_lr_ratio lr_scheduler
"""
PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
ALGORITHMS = {"LoCon": "locon", "DoRA": "locon", "LoHa": "loha", "LoKr": "lokr", "IA3": "ia3"}
ONLY_LYCORIS = ("preset", "train_norm", "use_tucker", "use_cp", "use_conv_cp")
# Settings that have no argument in sd-scripts; they are noted where they are not at their default.
OURS = """
    background caption_variants network_args ema_decay timestep_sampling device grid grid_weights grid_epochs
    rank_stabilized prediction_type zero_terminal_snr
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """Texts of the two TOML files and of the prompt file beside them (empty without prompts), and what they cannot
    say."""

    config: str
    dataset: str
    prompts: str
    notes: tuple[Note, ...]


def to_kohya(settings: Settings) -> Exported:
    """The same run for sd-scripts' ``train_network.py`` (SDXL: ``sdxl_train_network.py``)."""
    flat = to_flat(settings)
    lines = prompt_lines(settings)
    config = {
        **{theirs: flat[ours] for theirs, ours in SAME.items() if theirs == ours and _is_plain(ours, flat[ours])},
        **_output(settings),
        **_network(settings),
        **_learning(settings),
        **_length(settings),
        **({"sample_prompts": PROMPT_FILE} if lines else {}),
        # With a number of epochs, theirs passes over the number of steps.
        **({"sample_every_n_epochs": 1} if lines and not flat["sample_every_n_steps"] else {}),
        "dataset_config": DATASET_FILE,
    }
    if flat["mask_dir"]:
        config["masked_loss"] = True
    dataset = {"resolution": flat["resolution"], "batch_size": flat["batch_size"]}
    dataset |= {name: flat[name] for name in DATASET.split()}
    subsets = [{**folder, **_captions(settings)} for folder in _folders(flat["images"], flat["repeats"])]
    for folder in _folders(flat["reg_data_dir"], 1) if flat["reg_data_dir"] else []:
        subsets.append({"is_reg": True, "caption_extension": flat["caption_extension"], **folder})
    text = "\n".join(["[[datasets]]", *_toml(dataset), *(f"\n{_subset(one)}" for one in subsets)]) + "\n"
    return Exported("\n".join(_toml(config)) + "\n", text, "\n".join([*lines, ""]) if lines else "", _notes(settings))


def write_kohya(exported: Exported, folder: Path) -> list[Path]:
    """Write the files into ``folder`` and return their paths; none that is there is overwritten. Raises
    ``BadSettings``."""
    texts = {CONFIG_FILE: exported.config, DATASET_FILE: exported.dataset, PROMPT_FILE: exported.prompts}
    paths = {folder / name: text for name, text in texts.items() if text}
    for path in paths:
        if path.exists():
            raise BadSettings("export_exists", path=path)
    for path, text in paths.items():
        try:
            write_whole(path, text)
        except OSError as error:
            raise BadSettings("export_write", path=path, reason=error) from error
    return list(paths)


def _folders(name: str, repeats: int) -> list[dict[str, Any]]:
    """A dataset config names the folders that hold the images themselves: the folder, or its ``N_name`` ones."""
    folder = Path(name)
    entries = sorted(folder.iterdir()) if name and folder.is_dir() else []
    named = [(re.fullmatch(r"([1-9][0-9]{0,2})_(.*)", entry.name), entry) for entry in entries if entry.is_dir()]
    found: list[dict[str, Any]] = [
        {"image_dir": str(entry), "num_repeats": int(match[1]), "class_tokens": match[2]}
        for match, entry in named
        if match
    ]
    flat = not found or any(entry.suffix.lower() in IMAGES for entry in entries)
    return [*([{"image_dir": name, "num_repeats": repeats}] if flat else []), *found]


def _captions(settings: Settings) -> dict[str, Any]:
    """How captions are read; the trigger word becomes the beginning of kohya's prefix."""
    flat = to_flat(settings)
    found = {name: flat[name] for name in SUBSET.split() if flat[name] != ""}
    if flat["trigger"]:
        found["caption_prefix"] = " ".join(
            [f"{flat['trigger']},", *([flat["caption_prefix"]] * bool(flat["caption_prefix"]))]
        )
    if flat["mask_dir"]:
        found["conditioning_data_dir"] = flat["mask_dir"]
    return found


def _is_plain(name: str, value: Any) -> bool:
    """Whether a setting of the same name goes into the config as it is: not of the data set, and not "off"."""
    if name in (*SUBSET.split(), *DATASET.split(), *SPECIAL.split()):
        return False
    off = value in ("", (), 0) and not isinstance(value, bool)
    return not (off and fields()[name][1].default == value)


def _output(settings: Settings) -> dict[str, Any]:
    output, training, captions = settings.output, settings.training, settings.captions
    found: dict[str, Any] = {
        "pretrained_model_name_or_path": output.checkpoint,
        "output_name": output.name,
        "output_dir": output.out,
        "save_model_as": "safetensors",
        "save_precision": {"fp32": "float"}.get(output.save_precision, output.save_precision),
        "mixed_precision": PRECISIONS.get(training.mixed_precision, "bf16"),
        "max_token_length": captions.max_token_length if captions.max_token_length > 75 else "",
        "v_parameterization": True if settings.loss.prediction_type == "v_prediction" else "",
        "zero_terminal_snr": True if settings.loss.zero_terminal_snr == "yes" else "",
    }
    return {name: value for name, value in found.items() if value != ""}


def _network(settings: Settings) -> dict[str, Any]:
    network = settings.network
    kind, arguments = network.network_type, list(network.network_args)
    names = [argument.partition("=")[0] for argument in arguments]
    lycoris = kind not in ("LoRA", "LoCon") or any(name in ONLY_LYCORIS for name in names)
    if lycoris:
        arguments.append(f"algo={ALGORITHMS.get(kind, 'locon')}")
    if lycoris and "preset" not in names:
        convolutions = "full" if network.conv_dim or kind == "LoCon" else "attn-mlp"
        arguments.append(f"preset={'ia3' if kind == 'IA3' else convolutions}")
    if kind == "DoRA":
        arguments += ["dora_wd=True", "wd_on_output=False"]
    if conv_dim := network.conv_dim or (network.network_dim if kind == "LoCon" else 0):
        arguments += [f"conv_dim={conv_dim}", f"conv_alpha={network.conv_alpha or float(conv_dim)}"]
    for name in ("rank_dropout", "module_dropout", "down_lr_weight", "mid_lr_weight", "up_lr_weight", "block_dims"):
        if value := getattr(network, name):
            arguments.append(f"{name}={value}")
    for name in ("block_alphas", "conv_block_dims", "conv_block_alphas"):
        if value := getattr(network, name):
            arguments.append(f"{name}={value}")
    if network.rank_stabilized and lycoris:
        arguments.append("rs_lora=True")
    if ratio := settings.optimizer.loraplus_lr_ratio:
        arguments.append(f"loraplus_lr_ratio={ratio}")
    multipliers = [float(part) for part in network.base_weights_multiplier.split(",") if _is_number(part)]
    found: dict[str, Any] = {"network_module": "lycoris.kohya" if lycoris else "networks.lora"}
    found |= {"network_args": arguments} if arguments else {}
    return found | ({"base_weights_multiplier": multipliers} if multipliers else {})


def _learning(settings: Settings) -> dict[str, Any]:
    chosen, found = settings.optimizer, dict[str, Any]()
    rates = (chosen.text_encoder_lr, chosen.text_encoder_lr2)
    found["unet_lr"] = chosen.unet_lr
    if any(rates):
        found["text_encoder_lr"] = rates[0] if rates[0] == rates[1] else list(rates)
    else:
        found["network_train_unet_only"] = True
    if not chosen.unet_lr:
        found["network_train_text_encoder_only"] = True
    named = {"CAME": "pytorch_optimizer.CAME"}.get(chosen.optimizer_type, chosen.optimizer_type)
    found["optimizer_type"] = named.removeprefix("torch.optim.")
    arguments = list(chosen.optimizer_args)
    if chosen.weight_decay != (0.01 if chosen.optimizer_type in DECAYING else 0.0):
        arguments.append(f"weight_decay={chosen.weight_decay}")
    found |= {"optimizer_args": arguments} if arguments else {}
    scheduler = "cosine" if chosen.lr_scheduler == "rex" else chosen.lr_scheduler
    found["lr_scheduler"] = scheduler
    warmup = chosen.lr_warmup_steps or chosen.lr_warmup
    if warmup and scheduler != "constant":
        found["lr_warmup_steps"] = warmup
    if scheduler == "warmup_stable_decay":
        found["lr_decay_steps"] = chosen.lr_decay
    if scheduler in ("warmup_stable_decay", "cosine_with_min_lr"):
        found["lr_scheduler_min_lr_ratio"] = chosen.lr_scheduler_min_lr_ratio
    return found


def _length(settings: Settings) -> dict[str, Any]:
    if settings.training.max_train_steps:
        return {"max_train_steps": settings.training.max_train_steps}
    return {"max_train_epochs": settings.training.epochs}


def _notes(settings: Settings) -> tuple[Note, ...]:
    """What sd-scripts cannot be told, or does otherwise."""
    flat, notes = to_flat(settings), []
    for name in OURS.split():
        default = fields()[name][1].default
        known = name in ("network_args",) or (name == "prediction_type" and flat[name] == "v_prediction")
        known |= name == "zero_terminal_snr" and flat[name] == "yes"
        known |= name == "rank_stabilized" and _network(settings)["network_module"] == "lycoris.kohya"
        if flat[name] != default and not known:
            notes.append(Note(name, flat[name], "not_in_kohya"))
    if settings.training.mixed_precision == "auto":
        notes.append(Note("mixed_precision", "auto", "export_auto"))
    if settings.data.trigger:
        notes.append(Note("trigger", settings.data.trigger, "export_trigger"))
    if not settings.output.checkpoint:
        notes.append(Note("checkpoint", "", "export_checkpoint"))
    if settings.optimizer.text_encoder_lr != settings.optimizer.text_encoder_lr2:
        notes.append(Note("text_encoder_lr2", settings.optimizer.text_encoder_lr2, "te_rates"))
    if settings.optimizer.lr_scheduler == "rex":
        notes.append(Note("lr_scheduler", "rex", "export_rex"))
    if settings.optimizer.lr_scheduler == "constant" and (
        settings.optimizer.lr_warmup or settings.optimizer.lr_warmup_steps
    ):
        notes.append(Note("lr_warmup", settings.optimizer.lr_warmup, "constant_warmup"))
    notes.append(Note("images", settings.data.images, "export_images"))
    return tuple(notes)


def _subset(values: dict[str, Any]) -> str:
    return "\n".join(["[[datasets.subsets]]", *_toml(values)])


def _toml(values: dict[str, Any]) -> list[str]:
    """Lines of TOML: a JSON text, number, boolean or list of them is TOML too."""
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).lstrip("-").isdigit()
