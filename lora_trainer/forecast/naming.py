"""A name for LoRA files out of what a project is called, and one that is still free."""

from __future__ import annotations

from pathlib import Path

from lora_trainer.errors import BadSettings
from lora_trainer.outputs import files_named
from lora_trainer.picking.files import FORBIDDEN, check_name

FALLBACK = "lora"
LONGEST = 60  # letters of a name that is made


def name_from(text: str) -> str:
    """``text`` as a name that every system takes; ``lora`` where nothing of it can be used."""
    plain = "".join("_" if mark in FORBIDDEN or not mark.isprintable() else mark for mark in text)
    plain = plain.replace("..", "_").strip(" ._")[:LONGEST].strip(" ._")
    try:
        check_name(plain)
    except BadSettings:
        return FALLBACK
    return plain


def free_name(text: str, folder: Path, taken: frozenset[str] = frozenset()) -> str:
    """The name, or the name with the first number at which no file of ``folder`` and no run that waits has it."""
    name = made = name_from(text)
    number = 1
    while made in taken or files_named(made, folder):
        number += 1
        made = f"{name}_v{number}"
    return made
