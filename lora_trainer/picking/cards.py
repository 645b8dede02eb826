"""The card that the WebUI shows beside a LoRA, and what a prompt needs to use it."""

from __future__ import annotations

from pathlib import Path

from lora_trainer.host.protocol import LoraCard
from lora_trainer.language import English, translate
from lora_trainer.picking.plan import weight_text


def lora_card(trigger: str, weight: float, sd_version: str, language: str = English) -> LoraCard:
    """A card without notes and preview."""
    return LoraCard(
        activation_text=trigger,
        preferred_weight=weight,
        sd_version=sd_version,
        description=translate("card.description", language, trigger=trigger, weight=weight),
    )


def prompt_call(lora: Path, weight: float, trigger: str) -> str:
    """The LoRA at a weight, and the trigger word."""
    return f"<lora:{lora.stem}:{weight_text(weight)}> {trigger.strip()}".strip()


def version_of(metadata: dict[str, str]) -> str:
    """The "sd version" of a card, as the WebUI tells it from a file's metadata."""
    if metadata.get("ss_base_model_version", "").startswith("sdxl_"):
        return "SDXL"
    if metadata.get("ss_v2") == "True":
        return "SD2"
    return "SD1" if metadata else "Unknown"
