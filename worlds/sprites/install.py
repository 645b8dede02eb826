"""Copy the Sprites checkpoint into a WebUI: ``python -m worlds.sprites.install WEBUI_FOLDER``."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from lora_trainer.checkpoint.tokenizer import write_clip_tokenizer

HERE = Path(__file__).resolve().parent
# CLIP's tokenizer as LDM's text encoder asks for it; the format that every transformers version reads.
TOKENIZER = {
    "tokenizer_class": "CLIPTokenizer",
    "model_max_length": 77,
    "bos_token": "<|startoftext|>",
    "eos_token": "<|endoftext|>",
    "pad_token": "<|endoftext|>",
    "unk_token": "<|endoftext|>",
}


def install(webui: Path, checkpoint: Path = HERE / "sprites.safetensors") -> Path:
    """Copy ``checkpoint``, its yaml and the text encoder's folder ``clip`` beside it; return the copy.

    Raises ``FileNotFoundError`` when ``webui`` is no WebUI's (data) folder, or the checkpoint is not there.
    """
    if not (webui / "models").is_dir():
        raise FileNotFoundError(f"{webui} is no WebUI: it has no folder models")
    target = webui.absolute() / "models" / "Stable-diffusion" / checkpoint.name
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(checkpoint, target)
    clip = install_clip(checkpoint.with_name("clip"), webui.absolute() / "models" / f"{checkpoint.stem}-clip")
    target.with_suffix(".yaml").write_text(
        yaml.safe_dump(with_clip(checkpoint.with_suffix(".yaml"), clip), sort_keys=False, allow_unicode=True),
        encoding="utf-8",
    )
    return target


def install_clip(source: Path, target: Path) -> Path:
    """Make the folder that the WebUI takes for the text encoder's: its config and CLIP's vocabulary."""
    write_clip_tokenizer(target)
    shutil.copyfile(source / "config.json", target / "config.json")
    (target / "tokenizer_config.json").write_text(json.dumps(TOKENIZER, indent=2) + "\n", encoding="utf-8")
    return target


def with_clip(config: Path, clip: Path) -> dict[str, Any]:
    """The model config with the text encoder's folder in it: whole, as the WebUI may be started from anywhere."""
    values: dict[str, Any] = yaml.safe_load(config.read_text(encoding="utf-8"))
    values["model"]["params"]["cond_stage_config"]["params"]["version"] = str(clip)
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("webui", type=Path, help="the WebUI's folder, or its --data-dir")
    print(install(parser.parse_args().webui), "- now press the refresh button beside the list of checkpoints")


if __name__ == "__main__":
    main()
