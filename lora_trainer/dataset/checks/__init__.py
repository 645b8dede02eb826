"""The doctor: what is wrong with a set of images, why it matters, and what mends it at one click.

``survey`` measures a folder once, ``check`` finds, ``action_of`` plans a remedy, ``record`` and ``take_back`` do and
undo it.
"""

from lora_trainer.dataset.checks.actions import record, take_back
from lora_trainer.dataset.checks.brief import GOALS, Brief
from lora_trainer.dataset.checks.doctor import check
from lora_trainer.dataset.checks.findings import Finding
from lora_trainer.dataset.checks.remedies import action_of
from lora_trainer.dataset.checks.walking import survey

__all__ = ["GOALS", "Brief", "Finding", "action_of", "check", "record", "survey", "take_back"]
