"""What the bench's generators told, taken apart for the tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lora_trainer.dataset.bench.notes import Made, Noted
from lora_trainer.events import Event, Progress
from lora_trainer.language import LANGUAGES


@dataclass(frozen=True)
class Story:
    """All that was told: the notes' keys are in the order of their coming."""

    notes: list[Noted]
    progress: list[Progress]
    made: Made

    @property
    def keys(self) -> list[str]:
        return [note.key for note in self.notes]


def story(events: Iterable[Event]) -> Story:
    """Run the work to its end; every note has its sentence in every language, on one line."""
    told = list(events)
    notes = [event for event in told if isinstance(event, Noted)]
    for note in notes:
        for language in LANGUAGES:
            assert note.text(language).isprintable(), note
    (made,) = (event for event in told if isinstance(event, Made))
    assert told[-1] is made
    return Story(notes, [event for event in told if isinstance(event, Progress)], made)
