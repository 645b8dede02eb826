"""What the routes work with; every module of routes offers ``add(router, services)``."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from lora_trainer.api.hooks import Hooks
from lora_trainer.api.watch import Watch
from lora_trainer.project.projects import Projects
from lora_trainer.project.tasks import Tasks

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker

FOLDER = "projects"


@dataclass(frozen=True)
class Services:
    """One of each in a process."""

    worker: Worker
    projects: Projects
    tasks: Tasks
    hooks: Hooks
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "watch", Watch(self.worker))


@lru_cache(maxsize=4)  # the WebUI makes its routes anew on *Reload UI*, while tasks and runs go on
def services_of(worker: Worker, hooks: Hooks | None = None) -> Services:
    """The services of a host: projects lie beside its runs."""
    root = worker.host.paths.runs.parent / FOLDER
    return Services(worker, Projects(root), Tasks(), hooks or Hooks())
