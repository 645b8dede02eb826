"""What the command line offers: ``train``, ``grid``, ``pick``, ``import``, ``dataset``, ``demo`` and ``serve``, with
every setting as an option."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lora_trainer.interop import import_file
from lora_trainer.settings import Settings, fields, from_flat, help_texts
from lora_trainer.settings_file import read_values

SHOWN_FIRST = ("checkpoint", "images", "trigger", "name", "out")
COMPARED = (
    *("checkpoint", "images", "trigger", "name", "resolution", "device", "mixed_precision"),
    *("sample_prompts", "negative_prompt", "sample_steps", "cfg_scale", "sample_seed", "sample_width", "sample_height"),
    *("grid_weights", "grid_epochs"),
)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    from lora_trainer.dataset_commands import add_dataset  # which builds on this module

    top = argparse.ArgumentParser(
        prog="python -m lora_trainer",
        description="Train a LoRA from a folder of images, compare its epochs in a grid, and pick the best.",
        epilog="Example: python -m lora_trainer train --checkpoint base.safetensors --images set --trigger my --name m",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = make_command(commands, "train", "train a LoRA, draw the grid and pick an epoch")
    train.add_argument(
        "--config", type=Path, metavar="FILE", help="settings as TOML or a run.json; options given here override it"
    )
    train.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="train like a LoRA, or as a config of kohya's scripts or their front ends says; options override it",
    )
    train.add_argument("--print-config", action="store_true", help="print the settings as TOML and do nothing else")
    train.add_argument(
        "--export-kohya",
        type=Path,
        metavar="FOLDER",
        help="write the settings as configs for kohya's sd-scripts and do nothing else",
    )
    add_settings(train, tuple(fields()))
    again = make_command(commands, "continue", "go on with a run that was stopped or broken off")
    again.add_argument("run", type=Path, help="folder of the run, under runs in the home folder")
    imported = make_command(commands, "import", "show what a config of kohya's scripts, or a LoRA, says, as TOML")
    imported.add_argument(
        "file", type=Path, help="TOML of sd-scripts or SD-Trainer, dataset config, JSON of kohya_ss, or a LoRA file"
    )
    for name, text in (
        ("grid", "draw the grid of the LoRA files in a folder"),
        ("pick", "pick the best of the LoRA files in a folder"),
    ):
        command = make_command(commands, name, text)
        command.add_argument("folder", type=Path, help="folder of LoRA files called name-000001.safetensors and so on")
        add_settings(command, COMPARED)
    add_dataset(commands)
    demo = make_command(commands, "demo", "train on the shipped pixel-art world, without a graphics card, in minutes")
    demo.add_argument(
        "--character", default="ghost", choices=("ghost", "robot", "mushroom"), help="which sprite to learn"
    )
    add_settings(demo, ("epochs", "repeats", "seed", "device", "unet_lr", "network_dim", "network_alpha", "batch_size"))
    serve = make_command(commands, "serve", "open the tab in a browser, without a WebUI")
    serve.add_argument(
        "--checkpoint", metavar="FILE", help="checkpoint to train on; the shipped Sprites world without it"
    )
    serve.add_argument("--port", type=int, default=7861, help="port on 127.0.0.1 (default: 7861)")
    serve.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    return top


def make_command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    """A command with the options that all have."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument(
        "--home", type=Path, default=Path("lora_trainer_home"), help="folder of runs and LoRAs (default: %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object with the results as the last line")
    command.add_argument("--language", choices=("en", "zh"), help="language of the messages; without it, the system's")
    return command


def add_settings(command: argparse.ArgumentParser, names: tuple[str, ...]) -> None:
    """An option for each setting of ``names``; only the given ones end up in the namespace, under ``set_<name>``."""
    group = command.add_argument_group("settings")
    for name in sorted(names, key=lambda n: (n not in SHOWN_FIRST, names.index(n))):
        default = fields()[name][1].default
        text = help_texts()[name].replace("%", "%%") + (
            f" (default: {_shown(default)})" if default not in ("", ()) else ""
        )
        options: dict[str, Any] = {
            "dest": f"set_{name}",
            "default": argparse.SUPPRESS,
            "help": text,
            "metavar": name.upper(),
        }
        if isinstance(default, bool):
            options |= {"type": _switch, "metavar": "yes|no"}
        elif isinstance(default, tuple):
            options |= {"nargs": "+", "type": float if default and isinstance(default[0], float) else str}
        else:
            options["type"] = type(default)
        if choices := fields()[name][1].metadata.get("choices"):
            options |= {"choices": choices, "metavar": "|".join(map(str, choices))}
        group.add_argument(f"--{name.replace('_', '-')}", **options)


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _switch(text: str) -> bool:
    if text.lower() not in ("yes", "no", "true", "false", "1", "0", "on", "off"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither yes nor no")
    return text.lower() in ("yes", "true", "1", "on")


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as options."""
    return {name[4:]: value for name, value in vars(arguments).items() if name.startswith("set_")}


def settings_of(arguments: argparse.Namespace, **defaults: Any) -> Settings:
    """Defaults, under another program's file, under the settings file, under the options. Raises ``BadSettings``."""
    source, config = getattr(arguments, "source", None), getattr(arguments, "config", None)
    imported = import_file(source).values if source else {}
    return from_flat({**defaults, **imported, **(read_values(config) if config else {}), **given(arguments)})
