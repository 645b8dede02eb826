"""What the doctor is told besides the folder: for what the set is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lora_trainer.dataset.buckets import Placement, bucket_sizes, place, place_without_upscaling
from lora_trainer.dataset.checks.captioning import estimated_tokens
from lora_trainer.dataset.checks.facts import Facts, Pixels
from lora_trainer.dataset.checks.likeness import Match, matches
from lora_trainer.settings import CaptionSettings, DataSettings

# The fewest images from which a LoRA of the kind mostly comes out well.
GOALS = {"character": 10, "style": 30, "concept": 10}


@dataclass(frozen=True, slots=True)
class Brief:
    """The settings that the set is for, the goal, what counts tokens, the parents of derived images (a face crop is no
    duplicate of its parent), and what compares pictures."""

    data: DataSettings
    captions: CaptionSettings
    goal: str = "character"
    count_tokens: Callable[[str], int] = estimated_tokens
    parents: Mapping[Path, Path] = field(default_factory=dict)
    compare: Callable[[Sequence[Pixels]], list[Match]] = matches

    def related(self, first: Path, second: Path) -> bool:
        """Whether one was derived from the other, or both from a third."""
        return self.parents.get(first, first) == self.parents.get(second, second)


def placements(images: list[Facts], data: DataSettings) -> dict[Path, Placement | None]:
    """Where the training would put readable images; None where it would refuse one as too small."""
    if data.enable_bucket and data.bucket_no_upscale:
        return {facts.path: place_without_upscaling(facts.size, data) for facts in images}
    sizes = bucket_sizes(data)
    return {facts.path: place(facts.size, sizes) for facts in images}
