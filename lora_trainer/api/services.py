"""What the routes work with; every module of routes offers ``add(router, services)``."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lora_trainer.api.hooks import Hooks
from lora_trainer.api.watch import Watch
from lora_trainer.host.queue import Queue
from lora_trainer.presets.own import OwnPresets
from lora_trainer.project.projects import Projects
from lora_trainer.project.tasks import Tasks

if TYPE_CHECKING:
    from lora_trainer.forecast.planning import Planner
    from lora_trainer.host.worker import Worker

FOLDER, PRESETS, QUEUE, CACHE = "projects", "presets", "queue.json", "cache"  # all beside the runs


@dataclass(frozen=True)
class Services:
    """One of each in a process."""

    worker: Worker
    projects: Projects
    tasks: Tasks
    hooks: Hooks
    watch: Watch = field(init=False)
    presets: OwnPresets = field(init=False)
    queue: Queue = field(init=False)

    @property
    def cache(self) -> Path:
        """What can be made again, such as CLIP's vocabulary: beside the projects."""
        return self.projects.root.parent / CACHE

    def __post_init__(self) -> None:
        home = self.worker.host.paths.runs.parent
        object.__setattr__(self, "watch", Watch(self.worker))
        object.__setattr__(self, "presets", OwnPresets(home / PRESETS))
        object.__setattr__(self, "queue", Queue(self.worker, home / QUEUE, self.note_run))

    @cached_property
    def planner(self) -> Planner:
        """Makes forecasts. It stands on PyTorch, which a page that only looks on does not need."""
        from lora_trainer.forecast.planning import Planner

        return Planner(self.worker.host, self.presets)

    def note_run(self, project_id: str, run_id: str) -> None:
        """Have a project know of a run. Raises ``Unknown`` when it is gone."""
        project = self.projects.find(project_id)
        with project.turn:
            project.change({"runs": [*project.read()["runs"], run_id]})


@lru_cache(maxsize=4)  # the WebUI makes its routes anew on *Reload UI*, while tasks and runs go on
def services_of(worker: Worker, hooks: Hooks | None = None) -> Services:
    """The services of a host: projects lie beside its runs."""
    root = worker.host.paths.runs.parent / FOLDER
    return Services(worker, Projects(root), Tasks(), hooks or Hooks())
