"""Projects with real images, and work done at once instead of on a thread."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from lora_trainer.project.project import Project
from lora_trainer.project.projects import Projects
from lora_trainer.project.tasks import Task, TaskControl, Work
from tests.dataset.files import save


def new_project(home: Path, name: str = "my character") -> Project:
    """A project without images."""
    return Projects(home / "projects").create(name)


def filled(home: Path, count: int = 6) -> Project:
    """A project with images in its own folder and in ``5_side``; every second one has a caption."""
    project = new_project(home)
    for index in range(count):
        place = project.images_folder / ("5_side" if index % 3 == 2 else "")
        caption = f"mychr, hat, number {index}\n" if index % 2 == 0 else None
        save(place / f"image {index}.png", 40 + index, 30 + 2 * index, caption)
    return project


def at_once(work: Work, kind: str = "import") -> tuple[dict[str, Any], Task]:
    """What the work gives, and the task with its notes."""
    control = TaskControl(Task("0", kind, "p"))
    return work(control), control.task


def files_of(project: Project) -> dict[str, bytes]:
    """Every visible file of the set with its bytes."""
    folder = project.images_folder
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(".lora_trainer/")}


def offered(folder: Path, chance: random.Random) -> Path:
    """A folder of one to three images that were never there before, as somebody drops it."""
    place = folder / f"{chance.getrandbits(48):x}"
    for index in range(chance.randint(1, 3)):
        caption = chance.choice([None, "mychr, new", "другой, 新\r\n"])
        group = chance.choice(["", "3_more"])
        save(place / group / f"new {index}.png", chance.randint(20, 60), chance.randint(20, 60), caption)
    if chance.random() < 0.3 and (names := [path.name for path in place.glob("*.png")]):
        (place / "repeats.txt").write_bytes(f"{names[0]}: 4\r\n".encode())
    return place
