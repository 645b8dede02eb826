"""All checks in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lora_trainer.dataset.checks import images, sets, texts
from lora_trainer.dataset.checks.brief import Brief
from lora_trainer.dataset.checks.facts import Survey
from lora_trainer.dataset.checks.findings import SEVERITIES, Finding

Check = Callable[[Survey, Brief], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    images.damaged,
    texts.broken,
    images.misplaced,
    images.transparent,
    images.blurred,
    images.alike,
    texts.trigger,
    texts.overlong,
    texts.contradictions,
    texts.marks,
    sets.size,
    sets.weights,
)


def check(survey: Survey, brief: Brief) -> list[Finding]:
    """Everything that is found, the worst first."""
    findings = [finding for one in CHECKS for finding in one(survey, brief)]
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
