"""How much work a run would be, before it begins."""

from __future__ import annotations

from lora_trainer.language import translate
from lora_trainer.settings import Settings


def forecast(settings: Settings, language: str) -> str:
    """The images that would be learnt from and the steps that would be taken, in a sentence. Raises ``BadDataset``."""
    # Imported here: these stand on PyTorch, which the page itself does not need.
    from lora_trainer.dataset.examples import gather
    from lora_trainer.training.plan import Plan

    dataset = gather(settings.data, settings.captions, settings.training.seed)
    plan = Plan(dataset, settings)
    return translate(
        "ui.forecast",
        language,
        images=len(dataset.learnt),
        held_out=len(dataset.held_out),
        per_epoch=plan.steps_per_epoch,
        epochs=plan.epochs,
        steps=plan.steps,
    )
