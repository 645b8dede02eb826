"""Checks of the set as a whole: its size and how its folders weigh against each other."""

from __future__ import annotations

from collections.abc import Iterator

from lora_trainer.dataset.checks.balance import shares, uneven
from lora_trainer.dataset.checks.brief import GOALS, Brief
from lora_trainer.dataset.checks.facts import Survey
from lora_trainer.dataset.checks.findings import Finding, found


def size(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Too few images for what is to be learnt."""
    count, fewest = len(survey.readable), GOALS[brief.goal]
    if 0 < count < fewest:
        yield found("too_few", total=count, fewest=fewest)


def weights(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Folders of which one is seen far more often than another."""
    own = shares(survey.readable)
    if uneven(own):
        folders = list(dict.fromkeys(facts.path.parent for facts in survey.readable))
        yield found(
            "imbalance",
            folders,
            seen=", ".join(f"“{share.group}”: {share.images} × {share.repeats}" for share in own),
            better=", ".join(f"“{share.group}”: {share.suggested}" for share in own),
        )
