"""``dataset import|crop|faces|split|mirror|remove|remove-derived|repeats``: images that come, go, and are made from
others. Each is one step that ``dataset undo`` takes back."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_trainer.commandline import add_settings
from lora_trainer.dataset_commands.command import (
    DatasetCommand,
    Results,
    Say,
    add_selection,
    chosen_images,
    perform,
    shown,
)
from lora_trainer.language import translate

if TYPE_CHECKING:
    from lora_trainer.dataset_commands.folder import PlainFolder
    from lora_trainer.project.tasks import TaskControl

BUCKETS = (
    "resolution",
    "enable_bucket",
    "min_bucket_reso",
    "max_bucket_reso",
    "bucket_reso_steps",
    "bucket_no_upscale",
)


def _import_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "sources",
        nargs="*",
        type=Path,
        metavar="SOURCE",
        help="files, folders and ZIP archives to copy from; none: look through the folder itself, as it lies",
    )


def _import(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Copy images into the set, or say which of its own can be used."""
    from lora_trainer.dataset_commands.folder import folder_of
    from lora_trainer.project.importing import importing

    project = folder_of(options)
    if options.sources:
        work = importing(project, [source.absolute() for source in options.sources])
    else:
        work = partial(_looked_through, project)
    status, found = perform(project, "import", work, language, say)
    return status or int(not (found.get("images") or found.get("known"))), found


def _looked_through(project: PlainFolder, control: TaskControl) -> dict[str, Any]:
    from lora_trainer.dataset.bench.importing import use_in_place
    from lora_trainer.project.importing import told
    from lora_trainer.project.words import Words

    made = told(use_in_place(project.images_folder, control.stop), control)
    control.end(Words("dataset.usable", {"count": len(made.images)}))
    return {"images": len(made.images), "known": 0}


def _crop_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--by", choices=("centre", "focus"), default="focus", help="keep the middle, or faces and detail"
    )
    command.add_argument("--width", type=int, help="width of the crops; without it, the nearest bucket of a run")
    command.add_argument("--height", type=int, help="height of the crops")
    _model_options(command)
    add_selection(command)
    add_settings(command, BUCKETS)


def _crop(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Put crops in the place of images."""
    from lora_trainer.dataset_commands.folder import folder_of
    from lora_trainer.project.enlarging import cropping

    project = folder_of(options)
    sizes = {name: getattr(options, name) for name in ("width", "height") if getattr(options, name) is not None}
    wanted = {"by": options.by, "images": _ids(options, project), **sizes}
    return perform(project, "crop", cropping(project, wanted, _models(options)), language, say)


def _faces_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--repeats", type=int, default=3, help="repeats of the faces' own folder (default: 3)")
    _model_options(command)
    add_selection(command)
    add_settings(command, ("resolution",))


def _derive_options(command: argparse.ArgumentParser) -> None:
    add_selection(command)


def _derive(kind: str, options: argparse.Namespace, language: str, say: Say) -> Results:
    """Make new images beside those that are there."""
    from lora_trainer.dataset_commands.folder import folder_of
    from lora_trainer.project.enlarging import deriving

    project = folder_of(options)
    repeats = {"repeats": options.repeats} if kind == "faces" else {}
    wanted = {"kind": kind, "images": _ids(options, project), **repeats}
    models = _models(options) if kind == "faces" else []
    return perform(project, "derive", deriving(project, wanted, models), language, say)


def _remove(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Set images aside, with what was made from them."""
    from lora_trainer.dataset_commands.folder import folder_of
    from lora_trainer.errors import BadSettings
    from lora_trainer.project.importing import remove

    if options.filter is None and options.images is None:
        raise BadSettings("images_none", field="images")
    project = folder_of(options)
    index, paths = project.images(), chosen_images(options, project)
    notes = remove(project, [entry for path in paths if (entry := index.of(path))])
    return _removed(project, len(index.entries), [note.text(language) for note in notes], language, say)


def _remove_derived_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--kind", choices=("faces", "split", "mirror", "all"), default="all", help="which of them (default: all)"
    )


def _remove_derived(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Set the images aside that were made from others."""
    from lora_trainer.dataset_commands.folder import folder_of
    from lora_trainer.project.importing import remove_all_derived

    project = folder_of(options)
    before = len(project.images().entries)
    notes = remove_all_derived(project, options.kind)
    return _removed(project, before, [note.text(language) for note in notes], language, say)


def _removed(project: PlainFolder, before: int, notes: list[str], language: str, say: Say) -> Results:
    count = before - len(project.images().entries)
    for note in notes:
        say(note)
    say(translate("dataset.removed", language, count=count))
    return int(not count), {"removed": count, "notes": notes}


def _repeats_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("number", type=int, metavar="NUMBER", help="1 to 1000; 0 takes an image's own number back")
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--subfolder", metavar="N_NAME", help="of this sub-folder, which is renamed")
    which.add_argument("--image", metavar="NAME", help="of this image alone, by its name in the folder")


def _repeats(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Say how often a sub-folder, or an image, is seen in an epoch."""
    from lora_trainer.dataset_commands.folder import folder_of
    from lora_trainer.project.images import image_id
    from lora_trainer.project.repeating import set_repeats

    project, name = folder_of(options), options.subfolder or options.image
    if options.subfolder:
        set_repeats(project, {"folder": options.subfolder, "repeats": options.number})
    else:
        set_repeats(project, {"image": image_id(options.image), "repeats": options.number or None})
    key = "dataset.repeats" if options.number else "dataset.no_repeats"
    say(translate(key, language, name=shown(name), repeats=options.number))
    return 0, {"name": name, "repeats": options.number or None}


def _model_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--models",
        nargs="+",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="where a model that finds faces may lie, such as a WebUI's models/GFPGAN; also models in the home folder",
    )


def _models(options: argparse.Namespace) -> list[Path]:
    from lora_trainer.host.standalone import StandaloneHost

    return [*options.models, *StandaloneHost(options.home).paths.faces]


def _ids(options: argparse.Namespace, project: PlainFolder) -> Any:
    """The images that are meant, as the projects' functions want them."""
    if options.filter is None and options.images is None:
        return "all"
    index = project.images()
    return [entry.id for path in chosen_images(options, project) if (entry := index.of(path))]


COMMANDS = (
    DatasetCommand("import", "copy images with their captions into the folder", _import_options, _import, "the set"),
    DatasetCommand("crop", "put crops in the place of images; the originals are set aside", _crop_options, _crop),
    DatasetCommand(
        "faces", "add a crop of every face, in a folder of their own", _faces_options, partial(_derive, "faces")
    ),
    DatasetCommand("split", "add squares of long images", _derive_options, partial(_derive, "split")),
    DatasetCommand("mirror", "add mirror images", _derive_options, partial(_derive, "mirror")),
    DatasetCommand("remove", "set images aside, with what was made from them", add_selection, _remove),
    DatasetCommand(
        "remove-derived", "set the images aside that were made from others", _remove_derived_options, _remove_derived
    ),
    DatasetCommand("repeats", "say how often a sub-folder or an image is seen", _repeats_options, _repeats),
)
