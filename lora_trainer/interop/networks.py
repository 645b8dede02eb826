"""Kohya's rules for the kind of network: ``network_module`` and what stands in ``network_args``."""

from __future__ import annotations

from typing import Any

from lora_trainer.errors import BadSettings
from lora_trainer.interop.names import NETWORK_ARGS
from lora_trainer.interop.reading import Reading

ARG = "network_args "  # before the name of an entry of network_args
# algo of lycoris.kohya, or kohya's own module: our kind of network.
ALGORITHMS = {"": "LoCon", "lora": "LoCon", "locon": "LoCon", "loha": "LoHa", "lokr": "LoKr", "ia3": "IA3"}
MODULES = {"networks.loha": "LoHa", "networks.lokr": "LoKr"}
NOT_HERE = ("dylora", "glora", "full", "diag-oft", "boft", "networks.dylora", "networks.oft")
FOREIGN = ("flux", "sd3", "lumina", "hunyuan", "anima")
# Arguments that are read here under the same name, in our own network_args.
KEPT = """
    factor decompose_both full_matrix unbalanced_factorization use_tucker use_cp use_conv_cp train_norm
    block_lr_zero_threshold loraplus_unet_lr_ratio loraplus_text_encoder_lr_ratio
"""
# Presets of LyCORIS, and those in which 3 x 3 convolutions learn as well.
PRESETS = "full full-lin attn-mlp attn-only unet-only unet-transformer-only unet-convblock-only ia3"
WITH_CONVOLUTIONS = ("full", "unet-only", "unet-convblock-only")
# Arguments of networks, or of ways to compute one, that are not here.
OTHER_NETWORKS = """
    unit block_size constraint constrain rescaled use_scalar bypass_mode rank_dropout_scale train_on_input
    disable_conv_cp train_t5xxl split_qkv
"""
NATIVE_DIM, NATIVE_ALPHA = 4, 1.0


def put_network_args(reading: Reading, arguments: Any, key: str = "network_args") -> None:
    """Add each ``name=value`` of ``arguments`` as an entry of its own."""
    parts = arguments if isinstance(arguments, list) else [arguments]
    for part in parts:
        name, equals, value = str(part).partition("=")
        if equals and name.strip().isidentifier():
            reading.put(ARG + name.strip(), value.strip().strip("\"'"), f"{key} {name.strip()}")
        else:
            reading.drop(key, part, "bad_argument")


def read_network(reading: Reading) -> None:
    """The kind of network, its ranks and what it drops out. Raises ``BadSettings`` for networks of other models."""
    module = reading.text("network_module")
    if any(family in module for family in FOREIGN):
        raise BadSettings("import_family", name=module)
    lycoris = module.startswith("lycoris")
    kind = _kind(reading, module, lycoris)
    if reading.whole or module:
        reading.values.setdefault("network_type", kind)
    if reading.whole:
        _default_ranks(reading)
    if ARG + "dropout" in reading.left:
        reading.ignore("network_dropout", "overridden", by="network_args dropout")
    for theirs, ours in NETWORK_ARGS.items():
        if ARG + theirs in reading.left and theirs not in ("algo", "conv_dim", "conv_alpha"):
            reading.take(ARG + theirs, ours)
    _conv(reading, lycoris)
    _rest(reading, kind, lycoris)


def _kind(reading: Reading, module: str, lycoris: bool) -> str:
    algorithm = reading.text(ARG + "algo").lower()
    name = algorithm if lycoris else module
    conv = reading.value(ARG + "conv_dim") or reading.value(ARG + "conv_block_dims")
    kind = ALGORITHMS.get(name, "LoRA") if lycoris else MODULES.get(name, "LoCon" if conv else "LoRA")
    if lycoris and name not in (*ALGORITHMS, *NOT_HERE):
        reading.ignore(ARG + "algo", "network_unknown")
    if kind == "LoCon" and _on(reading, "dora_wd"):
        kind = "DoRA"
        if _on(reading, "wd_on_output") or ARG + "wd_on_output" not in reading.left:
            reading.differ(reading.key(ARG + "dora_wd"), True, "wd_axis")
        reading.take(ARG + "dora_wd", "network_type", kind)
    elif _on(reading, "dora_wd"):
        reading.ignore(ARG + "dora_wd", "dora_only")
    else:
        reading.ignore(ARG + "dora_wd", "off")
    if name in NOT_HERE:
        reading.differ(
            reading.key(ARG + "algo" if algorithm else "network_module"), name, "network_not_here", kind=kind
        )
    elif module == "networks.lora_fa":
        reading.differ(reading.key("network_module"), module, "lora_fa")
    elif module and not lycoris and module not in ("networks.lora", *MODULES):
        reading.differ(reading.key("network_module"), module, "network_not_here", kind=kind)
    for entry in ("network_module", ARG + "algo"):
        if entry in reading.left:
            reading.take(entry, "network_type", kind)
    return kind


def _default_ranks(reading: Reading) -> None:
    for name, default in (("network_dim", NATIVE_DIM), ("network_alpha", NATIVE_ALPHA)):
        if name in reading.left:
            reading.take(name, name)
        elif not reading.switch("dim_from_weights"):
            reading.default(name, default)


def _conv(reading: Reading, lycoris: bool) -> None:
    """LyCORIS takes the linear layers' rank and alpha where none, or 0, is given; kohya's own network alpha 1."""
    given, values = ARG + "conv_dim" in reading.left, reading.values
    for name in ("conv_dim", "conv_alpha"):
        if ARG + name in reading.left:
            reading.take(ARG + name, name)
    if lycoris and values.get("network_type") != "IA3" and _preset(reading) in WITH_CONVOLUTIONS:
        for name, rank in (("conv_dim", "network_dim"), ("conv_alpha", "network_alpha")):
            if not values.get(name) and rank in values:
                reading.also("", None, name, values[rank])
    elif given and not lycoris and values.get("conv_dim"):
        reading.default("conv_alpha", 1.0)


def _preset(reading: Reading) -> str:
    return reading.text(ARG + "preset") or "full"


def _rest(reading: Reading, kind: str, lycoris: bool) -> None:
    """What is read here as well stays as it is in our own ``network_args``; the rest is named."""
    kept: list[str] = []
    preset = _preset(reading)
    if ARG + "preset" in reading.left and (preset not in PRESETS.split() or (kind == "IA3") != (preset == "ia3")):
        reading.ignore(ARG + "preset", "preset_unknown", choices=", ".join(PRESETS.split()))
    elif lycoris and kind != "IA3":
        entry = reading.left.get(ARG + "preset")
        _keep(reading, kept, "preset", entry.key if entry else "", preset)
    for name in [name for name in reading.left if name.startswith(ARG)]:
        plain = name[len(ARG) :]
        if plain in KEPT.split():
            _keep(reading, kept, plain, reading.left[name].key, reading.value(name))
        elif plain == "wd_on_output":
            reading.ignore(name, "wd_axis" if kind == "DoRA" else "other_networks")
        elif plain == "verbose":
            reading.ignore(name, "logging")
        elif plain in OTHER_NETWORKS.split():
            reading.ignore(name, "other_networks")


def _keep(reading: Reading, kept: list[str], name: str, key: str, value: Any) -> None:
    kept.append(f"{name}={value}")
    reading.left.pop(ARG + name, None)
    reading.also(key, value, "network_args", kept)


def _on(reading: Reading, name: str) -> bool:
    return ARG + name in reading.left and reading.switch(ARG + name)
