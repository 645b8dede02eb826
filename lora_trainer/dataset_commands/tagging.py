"""``dataset tag|taggers``: captions from what a model sees."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_trainer.commandline import add_settings
from lora_trainer.dataset_commands.command import (
    DatasetCommand,
    Results,
    Say,
    add_selection,
    chosen_images,
    columns,
    follow,
    selection_of,
    shown,
)

if TYPE_CHECKING:
    from lora_trainer.dataset_commands.folder import PlainFolder
    from lora_trainer.project.taggers import Taggers
    from lora_trainer.project.tagging import TaggingOptions


def _source_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--models", type=Path, metavar="FOLDER", help="where models lie, each in a folder of its name, or a hub cache"
    )
    command.add_argument("--mirror", default="", metavar="ADDRESS", help="where to download from instead of the hub")


def _tag_options(command: argparse.ArgumentParser) -> None:
    from lora_trainer.tagging.models import WD14
    from lora_trainer.tagging.wording import ORDERS, Mode

    modes = tuple(mode.value for mode in Mode)
    command.add_argument("--tagger", default=WD14[0].name, help="name of the model, see taggers (default: %(default)s)")
    command.add_argument("--mode", choices=modes, default=modes[0], help="what becomes of captions that are there")
    command.add_argument("--threshold", type=float, help="probability from which a tag counts; without it, the model's")
    command.add_argument(
        "--character-threshold", type=float, default=0.85, help="the same of characters (default: 0.85)"
    )
    command.add_argument("--mcut", action="store_true", help="find both thresholds anew for every image")
    command.add_argument("--ratings", action="store_true", help="tag how suitable for work an image is")
    command.add_argument("--blacklist", default="", metavar="TAGS", help="tags that are never written")
    command.add_argument("--underscores", action="store_true", help="keep underscores instead of spaces")
    command.add_argument("--escape", action="store_true", help="write a backslash before brackets")
    command.add_argument("--order", choices=ORDERS, default=ORDERS[0], help="order of the tags (default: %(default)s)")
    command.add_argument("--limit", type=int, default=0, help="most tags of an image; 0 for any number")
    command.add_argument("--download", action="store_true", help="fetch the model where it is not on this computer")
    command.add_argument("--dry-run", action="store_true", help="print the captions, and write none")
    _source_options(command)
    add_selection(command)
    add_settings(command, ("caption_extension",))


def _tag(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Tag images; one step that can be taken back."""
    from lora_trainer.dataset_commands.folder import folder_of
    from lora_trainer.project.tagging import Tagging, TaggingOptions
    from lora_trainer.project.tasks import Tasks

    project, taggers, tasks = folder_of(options), _taggers_of(options), Tasks()
    names = ("tagger", "mode", "threshold", "character_threshold", "ratings", "mcut", "blacklist", "underscores")
    how = TaggingOptions.read({name: getattr(options, name) for name in (*names, "escape", "order", "limit")})
    if options.dry_run:
        return _shown_only(options, project, (taggers, how), (language, say))
    with project.writing():  # where what was seen is noted until it is in the captions
        project.folder.mkdir(exist_ok=True)
    tagging = Tagging(taggers, tasks, lambda: False)
    return follow(tasks, tagging.start(project, how, selection_of(options, project), options.download), language, say)


def _shown_only(
    options: argparse.Namespace, project: PlainFolder, how: tuple[Taggers, TaggingOptions], to: tuple[str, Say]
) -> Results:
    """Say what captions would be. Raises ``UserError``."""
    import dataclasses

    from lora_trainer.dataset.captions import caption, caption_ending
    from lora_trainer.tagging.batch import tag_images
    from lora_trainer.tagging.events import Tagged

    (taggers, chosen), (language, say) = how, to
    taggers.check(chosen.tagger, options.download)
    taggers.fetched(chosen.tagger, lambda event: None, lambda: False)
    plan = chosen.plan(taggers.threshold(chosen.tagger), caption_ending(project.caption_settings()))
    found: list[dict[str, Any]] = []
    with taggers.ready(chosen.tagger) as tagger:
        for event in tag_images(chosen_images(options, project), tagger, dataclasses.replace(plan, dry=True)):
            if isinstance(event, Tagged):
                say(f"{shown(event.image.name)}: {shown(caption(event.tags))}")
                found.append({"image": str(event.image), "caption": caption(event.tags)})
            elif text := _said(event, language):
                say(text)
    return 0, {"images": found}


def _said(event: Any, language: str) -> str:
    """What an event tells besides tags."""
    told = getattr(event, "why", event)
    return told.text(language) if told is not None else ""


def _taggers(options: argparse.Namespace, language: str, say: Say) -> Results:
    """List the taggers, and which are on this computer."""
    found = _taggers_of(options).options()
    columns([(one.name, one.text(language)) for one in found], say)
    rows = [{"name": one.name, "kind": one.kind, "present": one.present, "size": one.size} for one in found]
    return 0, {"taggers": rows}


def _taggers_of(options: argparse.Namespace) -> Taggers:
    from lora_trainer.host.standalone import StandaloneHost
    from lora_trainer.project.taggers import Taggers
    from lora_trainer.tagging.download import Sources

    return Taggers(StandaloneHost(options.home), lambda: Sources(folder=options.models, endpoint=options.mirror))


COMMANDS = (
    DatasetCommand("tag", "write captions from what a model sees", _tag_options, _tag),
    DatasetCommand(
        "taggers", "list the models that can tag, and which are on this computer", _source_options, _taggers, ""
    ),
)
