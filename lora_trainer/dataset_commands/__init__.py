"""``python -m lora_trainer dataset …``: what can be done with a folder of images, without a run.

A command is one ``DatasetCommand`` in ``COMMANDS``: its name, its help, the options it adds and what it does.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lora_trainer.commandline import make_command
from lora_trainer.dataset_commands import captions, doctor, drawing, history, images, tagging
from lora_trainer.dataset_commands.command import DatasetCommand, Results, Say

COMMANDS: tuple[DatasetCommand, ...] = (
    *images.COMMANDS,
    *drawing.COMMANDS,
    *tagging.COMMANDS,
    *captions.COMMANDS,
    *doctor.COMMANDS,
    *history.COMMANDS,
)


def add_dataset(commands: Any) -> None:
    """Add ``dataset`` with its own commands to the command line."""
    text = "bring together, tag, edit, check, mend and balance a folder of images"
    top = commands.add_parser("dataset", help=text, description=f"{text[0].upper()}{text[1:]}.")
    inner = top.add_subparsers(dest="dataset_command", required=True, metavar="COMMAND")
    for one in COMMANDS:
        command = make_command(inner, one.name, one.help)
        if one.folder:
            command.add_argument("folder", type=Path, help=one.folder)
        one.add_options(command)


def run(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Run the command that the options name. Raises ``UserError``."""
    return next(one for one in COMMANDS if one.name == options.dataset_command).run(options, language, say)
