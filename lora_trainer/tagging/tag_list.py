"""A WD14 model's list of tags: what each number of its output stands for."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lora_trainer.tagging.tagger import BadTagger, Reading

GENERAL, CHARACTER, RATING = 0, 4, 9  # Danbooru's own numbers, and 9 for ratings
MOST_BYTES = 64 << 20  # a list is well below one megabyte


@dataclass(frozen=True, slots=True)
class TagList:
    """Names and categories, in the order of the output."""

    names: tuple[str, ...]
    categories: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def reading(self, probabilities: npt.NDArray[np.float32]) -> Reading:
        """What one row of the output, (T,), says, by category; tags of other categories are left out."""
        found: dict[int, dict[str, float]] = {GENERAL: {}, CHARACTER: {}, RATING: {}}
        for name, category, probability in zip(self.names, self.categories, probabilities.tolist(), strict=True):
            if category in found:
                found[category][name] = probability
        return Reading(found[GENERAL], found[CHARACTER], found[RATING])


def read_tag_list(path: Path) -> TagList:
    """Read ``selected_tags.csv``: columns tag_id, name, category, count, of which name and category are needed.

    Raises ``BadTagger``.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        names = tuple(row["name"] for row in rows)
        categories = tuple(int(row["category"]) for row in rows)
        if not names or not all(names):
            raise ValueError("a line without a name" if names else "no lines")
    except KeyError as error:
        raise BadTagger("tag_list_unreadable", field="tagger", name=path, reason=f"no column {error}") from error
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise BadTagger("tag_list_unreadable", field="tagger", name=path, reason=error) from error
    return TagList(names, categories)
