"""Tagging the images of a project in the background: one step of the history, whatever ends it.

What a tagger says is noted at once in the project's folder and written into the captions at the end, also when the user
stops it or the tagger fails. Where the program itself ends in between, the next tagging begins with what was noted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lora_trainer.captions.selection import Everything, Selection
from lora_trainer.dataset.bench.notes import never
from lora_trainer.dataset.captions import caption_ending
from lora_trainer.errors import BadDataset, UserError
from lora_trainer.project import reading
from lora_trainer.project.captioning import chosen
from lora_trainer.project.project import Project
from lora_trainer.project.stopping import Stop, Stopped
from lora_trainer.project.taggers import Taggers, fetching_words
from lora_trainer.project.tagnotes import TagNotes
from lora_trainer.project.tasks import Task, TaskControl, Tasks
from lora_trainer.project.words import Words
from lora_trainer.tagging.batch import Plan, tag_images
from lora_trainer.tagging.events import PassedOver, Tagged
from lora_trainer.tagging.models import WD14
from lora_trainer.tagging.tagger import Tagger
from lora_trainer.tagging.thresholds import Thresholds
from lora_trainer.tagging.wording import ORDERS, Mode, Style, blacklist

KIND = "tag"
OPTIONS = "tagging"  # in project.json
MODES = tuple(mode.value for mode in Mode)
MOST_TAGS = 1000
POLL_S = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggingOptions:
    """How to tag. ``threshold`` None is the model's own; ``mcut`` finds both anew for every image; ``underscores``
    stay, instead of becoming spaces; ``limit`` is the most tags an image gets, 0 for any number."""

    tagger: str = WD14[0].name
    mode: str = Mode.Missing.value
    threshold: float | None = None
    character_threshold: float = 0.85
    ratings: bool = False
    mcut: bool = False
    blacklist: str = ""
    underscores: bool = False
    escape: bool = False
    order: str = ORDERS[0]
    limit: int = 0

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> TaggingOptions:
        """The options in a JSON body; the defaults for those that it lacks. Raises ``BadSettings``."""
        flags = {
            name: reading.of_type(values, name, False, bool) for name in ("ratings", "mcut", "underscores", "escape")
        }
        threshold = values.get("threshold")
        return cls(
            tagger=reading.text(values, "tagger", cls().tagger, 200),
            mode=reading.choice(values, "mode", cls().mode, MODES),
            threshold=None if threshold is None else reading.number(values, "threshold", 0.0, 0.0, 1.0),
            character_threshold=reading.number(values, "character_threshold", cls().character_threshold, 0.0, 1.0),
            blacklist=reading.text(values, "blacklist"),
            order=reading.choice(values, "order", cls().order, ORDERS),
            limit=reading.whole(values, "limit", 0, 0, MOST_TAGS),
            **flags,
        )

    def plan(self, own_threshold: float, ending: str) -> Plan:
        """The same in the taggers' words."""
        thresholds = Thresholds(
            general=own_threshold if self.threshold is None else self.threshold,
            character=self.character_threshold,
            rating=0.0 if self.ratings else None,
            general_mcut=self.mcut,
            character_mcut=self.mcut,
        )
        style = Style(
            blacklist=blacklist(self.blacklist),
            spaces=not self.underscores,
            escape=self.escape,
            order=self.order,
            maximum=self.limit,
        )
        return Plan(mode=Mode(self.mode), thresholds=thresholds, style=style, ending=ending)


class Tagging:
    """Tags the images of projects with any tagger. All methods may be called from any thread."""

    def __init__(
        self, taggers: Taggers, tasks: Tasks, training: Callable[[], bool], usual: Callable[[], str] = str
    ) -> None:
        """``training`` tells whether a run goes on, which has the card for itself; ``usual`` names the tagger that a
        project begins with, where it is another than the first."""
        self.taggers, self._usual = taggers, usual
        self._tasks, self._training = tasks, training

    def options(self, project: Project) -> TaggingOptions:
        """What was used last in this project."""
        wanted = self._usual()
        known = wanted in {one.name for one in self.taggers.options()} if wanted else False
        usual = {"tagger": wanted} if known else {}
        try:
            return TaggingOptions.read({**usual, **project.read().get(OPTIONS, {})})
        except UserError:  # of another version
            return TaggingOptions()

    def start(
        self, project: Project, options: TaggingOptions, selection: Selection | None = None, download: bool = False
    ) -> Task:
        """Remember the options and begin.

        Raises ``BadTagger`` where the model is not here and may not be downloaded, ``BadDataset`` where there are no
        images, ``Busy`` while another task of the project goes on.
        """
        self.taggers.check(options.tagger, download)
        images = chosen(project, selection or Everything())
        if not images:
            raise BadDataset("nothing_to_tag", field="images")
        with self._tasks.alone(project):
            project.change({OPTIONS: asdict(options)})
            return self._tasks.start(project, KIND, lambda control: self._work(project, options, images, control))

    def _work(
        self, project: Project, options: TaggingOptions, images: Sequence[Path], control: TaskControl
    ) -> dict[str, Any]:
        name = options.tagger
        notes = TagNotes(project, name)
        notes.settle(control)
        counts = {"tagged": 0, "passed": 0}
        try:
            self.taggers.fetched(
                name, lambda event: control.progress(event.done, event.total, fetching_words(event, name)), control.stop
            )
            control.progress(0, len(images), Words("task.tag.waiting"))
            with self._turn(name, control.stop), self.taggers.ready(name) as tagger:
                control.progress(0, len(images), Words("task.tag.tagging", {"name": name}))
                counts = self._tag(tagger, self._plan(project, options), images, notes, control)
        except Stopped:
            pass
        finally:
            changed = notes.settle(control)
        result = {**counts, "changed": changed, "of": len(images)}
        control.end(Words("task.tag.stopped" if control.stop() else "task.tag.done", result))
        return result

    def _plan(self, project: Project, options: TaggingOptions) -> Plan:
        return options.plan(self.taggers.threshold(options.tagger), caption_ending(project.caption_settings()))

    def _tag(
        self, tagger: Tagger, plan: Plan, images: Sequence[Path], notes: TagNotes, control: TaskControl
    ) -> dict[str, int]:
        """Look at the images until all are seen or the user has enough; how many were, and how many passed over."""
        counts = {"tagged": 0, "passed": 0}
        interrupted = self.taggers.host.interrupted if self.taggers.uses_card(tagger.name) else never
        notes.begin()
        for event in tag_images(images, tagger, plan, write=lambda file, tags: None):
            if isinstance(event, Tagged | PassedOver):
                control.progress(event.done, event.total)
                counts["tagged" if isinstance(event, Tagged) else "passed"] += 1
            if isinstance(event, Tagged) and event.written:
                notes.add(event.image, event.tags)
            elif isinstance(event, PassedOver) and event.why is not None:
                control.note(event.why)
            elif not isinstance(event, Tagged | PassedOver):
                control.note(event)
            if interrupted():
                control.cancel()
            if control.stop():
                break
        return counts

    @contextmanager
    def _turn(self, name: str, stop: Stop) -> Iterator[None]:
        """Have the card for as long as the model is on it. Raises ``Stopped``."""
        if not self.taggers.uses_card(name):
            yield
            return
        while self._training() and not stop():
            time.sleep(POLL_S)
        if stop():
            raise Stopped
        with self.taggers.host.turn():
            yield
