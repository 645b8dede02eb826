"""Our section among the WebUI's settings, and what the user chose there. Empty values mean: the usual."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modules import paths, shared

from lora_trainer.host import compat
from lora_trainer.language import English, translate

if TYPE_CHECKING:
    from lora_trainer.tagging.download import Sources

SECTION = ("lora_trainer", "LoRA Trainer")
LORAS, RUNS, LANGUAGE = "lora_trainer_loras", "lora_trainer_runs", "lora_trainer_language"
PRESET, TAGGER = "lora_trainer_preset", "lora_trainer_tagger"
MIRROR, MODELS = "lora_trainer_mirror", "lora_trainer_taggers"
FOLDERS = (LORAS, RUNS, MODELS)
LANGUAGES = {"English": "en", "中文": "zh"}
AUTO = "auto"


def add_options() -> None:
    """Add the section. The WebUI's own localization translates its words."""
    for name in (LORAS, RUNS, PRESET, TAGGER, MODELS, MIRROR):
        compat.add_option(name, "", _said(name), SECTION, restricted=name in FOLDERS)
    compat.add_option(LANGUAGE, AUTO, _said(LANGUAGE), SECTION, choices=(AUTO, *LANGUAGES))


def language() -> str:
    """The language that our page is to speak: the one chosen here, else the WebUI's localization."""
    return LANGUAGES.get(_chosen(LANGUAGE), "") or compat.localization()


def loras() -> Path:
    """Where LoRA files are written: a folder of the user's within the WebUI's own, or that itself."""
    return compat.lora_folder() / _chosen(LORAS)


def runs() -> Path:
    """Where run folders are kept: by default beside the WebUI's models and outputs, where updates leave them alone."""
    return _folder(RUNS, "runs")


def tagger_sources() -> Sources:
    """Where tagging models lie: also where the tagger extension keeps its own; and where they are fetched from."""
    from lora_trainer.tagging.download import Sources

    return Sources(folder=_folder(MODELS, "taggers"), caches=compat.tagger_caches(), endpoint=_chosen(MIRROR))


def defaults() -> dict[str, str]:
    """With what new projects begin: a preset by its id or its name, a tagger; empty: the usual ones."""
    return {"preset": _chosen(PRESET), "tagger": _chosen(TAGGER)}


def _folder(name: str, usual: str) -> Path:
    home = Path(paths.data_path).absolute() / "lora_trainer"
    return home / (_chosen(name) or usual)


def _chosen(name: str) -> str:
    return str(getattr(shared.opts, name, "") or "").strip()


def _said(name: str) -> str:
    return translate(f"option.{name.removeprefix('lora_trainer_')}", English)
