"""Which tags are probable enough to be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from lora_trainer.errors import BadSettings
from lora_trainer.tagging.tagger import Reading

LEAST_CHARACTER = 0.15  # below it no character is told, wherever the cut falls: the rule of the models' demonstration


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Tags count above these probabilities (0 to 1).

    ``rating``: the most probable rating counts above it; None leaves ratings out. ``general_mcut`` and
    ``character_mcut`` choose the threshold anew for every image, by MCut. Raises ``BadSettings``.
    """

    general: float = 0.35
    character: float = 0.85
    rating: float | None = None
    general_mcut: bool = False
    character_mcut: bool = False

    def __post_init__(self) -> None:
        for field in ("general", "character", "rating"):
            value = getattr(self, field)
            if value is not None and not 0 <= value <= 1:
                raise BadSettings("tag_threshold", field=field, name=field, value=value)


def mcut(probabilities: Iterable[float]) -> float:
    """The middle of the widest gap between neighbours; 0 where there are fewer than two.

    Largeron, Moulin, Géry: MCut, a thresholding strategy for multi-label classification, IDA 2012.
    """
    falling = sorted(probabilities, reverse=True)
    gaps = [upper - lower for upper, lower in pairwise(falling)]
    if not gaps:
        return 0.0
    place = gaps.index(max(gaps))
    return (falling[place] + falling[place + 1]) / 2


def probable(reading: Reading, thresholds: Thresholds) -> Reading:
    """What of a reading counts, most probable first; of the ratings at most one."""
    general, character = thresholds.general, thresholds.character
    if thresholds.general_mcut:
        general = mcut(reading.general.values())
    if thresholds.character_mcut:
        character = max(LEAST_CHARACTER, mcut(reading.characters.values()))
    ratings = _above(reading.ratings, 1.0 if thresholds.rating is None else thresholds.rating)
    return Reading(
        _above(reading.general, general), _above(reading.characters, character), dict([*ratings.items()][:1])
    )


def _above(tags: Mapping[str, float], threshold: float) -> dict[str, float]:
    """The tags with a higher probability, most probable first; those with the same one keep their order."""
    found = [(tag, probability) for tag, probability in tags.items() if probability > threshold]
    return dict(sorted(found, key=lambda pair: -pair[1]))
