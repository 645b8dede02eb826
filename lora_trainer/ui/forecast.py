"""How much work a run would be, before it begins."""

from __future__ import annotations

from lora_trainer.language import translate
from lora_trainer.settings import Settings


def forecast(settings: Settings, language: str) -> str:
    """The images that would be learnt from and the steps that would be taken, in a sentence. Raises ``BadDataset``."""
    # Imported here: these stand on PyTorch, which the page itself does not need.
    from lora_trainer.dataset.encoding import placed
    from lora_trainer.dataset.loader import split, steps_per_epoch
    from lora_trainer.dataset.scan import scan

    learnt, held_out = split(scan(settings.data), settings.data.validation_split, settings.training.seed)
    examples = placed(learnt, settings.data)
    per_epoch = steps_per_epoch(
        [example.bucket for example in examples],
        [example.item.repeats for example in examples],
        settings.data.batch_size,
    )
    return translate(
        "ui.forecast",
        language,
        images=len(learnt),
        held_out=len(held_out),
        per_epoch=per_epoch,
        epochs=settings.training.epochs,
        steps=per_epoch * settings.training.epochs,
    )
