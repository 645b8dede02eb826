"""The doctor in the tab: a check in the background, what it found kept over restarts, remedies in the history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lora_trainer.dataset.bench.derived import derived_in
from lora_trainer.dataset.checks import Brief, Finding, action_of, check, record, survey
from lora_trainer.dataset.checks.facts import Measured, Pixels, Survey
from lora_trainer.dataset.checks.likeness import Match, matches
from lora_trainer.dataset.checks.measuring import OnProgress
from lora_trainer.dataset.checks.tokens import count_tokens
from lora_trainer.errors import BadDataset
from lora_trainer.language import English
from lora_trainer.project.findings_file import Found, fingerprint, read_found, write_found
from lora_trainer.project.project import Project
from lora_trainer.project.stopping import Stopped
from lora_trainer.project.tasks import Task, TaskControl, Tasks
from lora_trainer.project.words import Words
from lora_trainer.settings import Settings

KIND = "check"
GOALS = {"object": "concept"}  # what the doctor calls a project's goal, where that differs
GROUPED = "set_aside_rest"  # the remedy that keeps the first image of a finding
SEVERAL = 2

SettingsOf = Callable[[Project], Settings]


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding with the ids of its images, and the names of what else it is about (folders, links)."""

    finding: Finding
    images: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings of the last check; ``stale`` where images, captions or settings have changed since."""

    checked: bool = False
    stale: bool = False
    findings: tuple[Shown, ...] = ()


class Memory:
    """What was measured and compared of one set: it is not done again for what has not changed."""

    def __init__(self) -> None:
        self.known: Mapping[Path, Measured] = {}
        self._pictures: Sequence[Pixels] = ()
        self._matches: list[Match] = []

    def compare(self, pictures: Sequence[Pixels]) -> list[Match]:
        """``likeness.matches``, at once for the very same pictures: a change of captions leaves them alone."""
        same = len(pictures) == len(self._pictures)
        if not (same and all(one is other for one, other in zip(pictures, self._pictures, strict=True))):
            self._pictures, self._matches = pictures, matches(pictures)
        return self._matches


class Doctoring:
    """Checks and mends the sets of projects. All methods may be called from any thread."""

    def __init__(self, tasks: Tasks, cache: Path, settings_of: SettingsOf = Project.effective) -> None:
        """``cache`` is where CLIP's vocabulary is kept; ``settings_of`` tells what a project would train with."""
        self._tasks, self._cache, self._settings_of = tasks, cache, settings_of
        self._memories: dict[str, Memory] = {}

    def start(self, project: Project) -> Task:
        """Check in the background. Raises ``BadDataset`` where there is no folder yet, ``Busy``, ``BadSettings``."""
        if not project.images_folder.is_dir():
            raise BadDataset("nothing_to_check", field="images")
        return self._tasks.start(project, KIND, lambda control: self._work(project, control))

    def verdict(self, project: Project) -> Verdict:
        """What the last check found, as far as it is still there. Raises ``UserError``."""
        found = read_found(project.folder)
        if found is None:
            return Verdict()
        index, folder = project.images(), project.images_folder
        if found.folder != str(folder):
            return Verdict()
        shown = []
        for finding in found.findings:
            there = tuple(path for path in finding.images if path.exists() or path.is_symlink())
            fewest = SEVERAL if finding.remedy == GROUPED else bool(finding.images)
            if len(there) >= fewest:
                entries = [index.of(path) for path in there]
                ids = tuple(entry.id for entry in entries if entry)
                names = tuple(path.name for path, entry in zip(there, entries, strict=True) if not entry)
                shown.append(Shown(replace(finding, images=there), ids, names))
        return Verdict(
            True, fingerprint(folder, self._settings_of(project), _goal(project)) != found.mark, tuple(shown)
        )

    def fix(self, project: Project, key: str, image_ids: Sequence[str] | None = None, language: str = English) -> str:
        """Mend the findings of one kind, or those of these images alone; a sentence that says what was done.

        The set is checked anew first, so that nothing is mended that somebody has mended meanwhile. The history can
        take it back. Raises ``UserError``; then nothing was changed.
        """
        with self._tasks.alone(project):
            seen, brief, findings = self._examined(project)
            wanted = None if image_ids is None else {entry.path for entry in project.images().chosen(image_ids)}
            chosen = [one for one in findings if one.key == key and one.remedy]
            mended = [small for one in chosen if (small := _narrowed(one, wanted)) is not None]
            if not mended:
                raise BadDataset("finding_gone", field="images")
            action = action_of(_merged(mended), seen, brief)
            if not action:  # no words to write, for want of a trigger
                raise BadDataset("finding_unmended", field="trigger")
            record(seen.folder, action)
            words = Words(f"mended.{mended[0].remedy}", {"count": _count(mended)})
            project.history.action_recorded(words.key, words.values)
            self._keep(project, [one for one in findings if one not in chosen] + _rest(chosen, mended))
        return words.text(language)

    def _work(self, project: Project, control: TaskControl) -> dict[str, Any]:
        def measured(done: int, total: int) -> None:
            control.progress(done, total, Words("task.check.measuring"))
            if control.stop():
                raise Stopped

        try:
            seen, _, findings = self._examined(project, measured, control)
        except Stopped:
            return {}
        self._keep(project, findings)
        counts = {f"{kind}s": sum(one.severity == kind for one in findings) for kind in ("error", "warning", "note")}
        result = {"images": len(seen.images), "findings": len(findings), **counts}
        control.end(Words("doctor.summary" if findings else "doctor.silent", result))
        return result

    def _examined(
        self, project: Project, on_progress: OnProgress | None = None, control: TaskControl | None = None
    ) -> tuple[Survey, Brief, list[Finding]]:
        """The set as it is now; what is known of unchanged files is not measured again. Raises ``UserError``."""
        settings = self._settings_of(project)
        memory = self._memories.setdefault(project.id, Memory())
        seen = survey(settings.data, settings.captions, known=memory.known, on_progress=on_progress)
        memory.known = seen.known
        if control is not None:
            control.progress(len(seen.images), len(seen.images), Words("task.check.comparing"))
        parents = {seen.folder / one.path: seen.folder / one.parent for one in derived_in(seen.folder)}
        count = partial(count_tokens, limit=settings.captions.max_token_length, folder=self._cache)
        brief = Brief(settings.data, settings.captions, _goal(project), count, parents, memory.compare)
        return seen, brief, check(seen, brief)

    def _keep(self, project: Project, findings: Sequence[Finding]) -> None:
        """Keep the findings for the page and, image by image, for the image list. Raises ``UserError``."""
        folder = project.images_folder
        mark = fingerprint(folder, self._settings_of(project), _goal(project))
        with project.writing():
            write_found(project.folder, Found(str(folder), mark, tuple(findings)))
        by_key: dict[str, list[Path]] = {}
        for finding in findings:
            by_key.setdefault(finding.key, []).extend(finding.images)
        project.note_findings(by_key)


def _goal(project: Project) -> str:
    goal = str(project.read()["goal"])
    return GOALS.get(goal, goal)


def _narrowed(finding: Finding, wanted: set[Path] | None) -> Finding | None:
    """The finding for the wanted images alone; None where it is about none of them.

    Of pictures that show the same, the first is kept in any case.
    """
    if wanted is None:
        return finding
    if wanted.isdisjoint(finding.images):
        return None
    kept = finding.images[:1] if finding.remedy == GROUPED else ()
    rest = finding.images[len(kept) :]
    return replace(finding, images=(*kept, *(path for path in rest if path in wanted)))


def _merged(findings: Sequence[Finding]) -> Finding:
    """Findings of one kind as one, so that their remedies are one action."""
    kept = findings[0].images[:1] if findings[0].remedy == GROUPED else ()
    return replace(findings[0], images=(*kept, *dict.fromkeys(_moved(findings))))


def _moved(findings: Sequence[Finding]) -> list[Path]:
    """What the remedy is about: everything but the image that stays of pictures that show the same."""
    return [path for one in findings for path in one.images[int(one.remedy == GROUPED) :]]


def _count(findings: Sequence[Finding]) -> int:
    return len(dict.fromkeys(_moved(findings)))


def _rest(chosen: Sequence[Finding], mended: Sequence[Finding]) -> list[Finding]:
    """What is left of findings that were mended in part."""
    done = {*_moved(mended)}
    left = [replace(one, images=tuple(path for path in one.images if path not in done)) for one in chosen]
    return [one for one in left if len(one.images) >= (SEVERAL if one.remedy == GROUPED else 1)]
