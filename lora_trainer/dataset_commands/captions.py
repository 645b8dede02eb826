"""``dataset tags|edit|bind|caption``: captions counted, changed many at once with a preview, and one by one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lora_trainer.commandline import add_settings
from lora_trainer.dataset_commands.command import (
    DatasetCommand,
    Results,
    Say,
    add_selection,
    columns,
    selection_of,
    shown,
)
from lora_trainer.language import translate

if TYPE_CHECKING:
    from lora_trainer.captions.operations import Operation
    from lora_trainer.captions.results import Preview
    from lora_trainer.captions.selection import Selection
    from lora_trainer.dataset_commands.folder import PlainFolder

READ = ("caption_extension", "keep_tokens_separator")


def _tags_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--search", default="", metavar="LETTERS", help="only tags that have these letters in them")
    command.add_argument("--limit", type=int, default=50, help="list so many tags, the commonest (default: 50)")
    command.add_argument("--filter", default="", metavar="EXPRESSION", help="only of images whose tags fulfil it")
    add_settings(command, READ)


def _tags(options: argparse.Namespace, language: str, say: Say) -> Results:
    """How many images have which tag."""
    from lora_trainer.dataset_commands.folder import folder_of
    from lora_trainer.project.captioning import Captioning
    from lora_trainer.project.tasks import Tasks

    found = Captioning(Tasks()).tags(folder_of(options), options.filter, options.search, options.limit)
    if found.untagged:
        say(translate("dataset.untagged", language, count=found.untagged))
    columns([(row.images, row.tag) for row in found.rows], say)
    if found.total > len(found.rows):
        say(translate("dataset.more_tags", language, count=found.total - len(found.rows)))
    unread = [one.error.text(language) for one in found.unread]
    for text in unread:
        say(text)
    tags = [{"tag": row.tag, "count": row.images} for row in found.rows]
    return 0, {"untagged": found.untagged, "tags": tags, "total": found.total, "unread": unread}


def _edit_options(command: argparse.ArgumentParser) -> None:
    edit = command.add_mutually_exclusive_group(required=True)
    edit.add_argument("--add", metavar="TAGS", help="add these tags in front, or elsewhere with --at")
    edit.add_argument("--remove", metavar="TAGS", help="take these tags out")
    edit.add_argument("--replace", nargs=2, metavar=("OLD", "NEW"), help="put a tag, several or none for a tag")
    edit.add_argument(
        "--pattern", nargs=2, metavar=("REGEX", "NEW"), help="replace by a regular expression in each tag"
    )
    edit.add_argument("--deduplicate", action="store_true", help="leave each tag once")
    edit.add_argument("--sort", choices=("alphabet", "frequency"), help="put tags in order")
    command.add_argument("--at", metavar="N|end", default="0", help="add after the first N tags, or at the end")
    command.add_argument("--move", action="store_true", help="with --add: tags that are there come to the new place")
    command.add_argument("--inside", action="store_true", help="with --replace: these letters, inside of any tag")
    command.add_argument("--ignore-case", action="store_true", help="with --pattern: case does not count")
    command.add_argument("--keep-first", type=int, default=0, metavar="N", help="leave the first N tags alone")
    command.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    add_selection(command)
    add_settings(command, ("trigger", *READ))


def _edit(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Change many captions at once."""
    from lora_trainer.captions.caption import Kept
    from lora_trainer.dataset_commands.folder import folder_of

    project = folder_of(options)
    kept = Kept(project.effective().data.trigger, max(0, options.keep_first))
    return _edited(project, _operation(options), (selection_of(options, project), kept), options, (language, say))


def _operation(options: argparse.Namespace) -> Operation:
    """What is to be done. Raises ``BadSettings``."""
    from lora_trainer.captions.operations import Add, Deduplicate, Remove, Replace, ReplacePattern, Sort
    from lora_trainer.dataset.captions import tags
    from lora_trainer.errors import BadSettings

    if options.add is not None:
        if options.at != "end" and not options.at.isdecimal():
            raise BadSettings("setting_type", field="at", name="at", value=options.at, kind="int, end")
        return Add(options.add, None if options.at == "end" else int(options.at), options.move)
    if options.remove is not None:
        return Remove(tuple(tags(options.remove)))
    if options.replace is not None:
        old, new = options.replace
        return Replace(old, new, options.inside)
    if options.pattern is not None:
        pattern, new = options.pattern
        return ReplacePattern(pattern, new, options.ignore_case)
    return Deduplicate() if options.deduplicate else Sort(options.sort == "frequency")


def _bind_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--common", type=float, default=0.8, metavar="SHARE", help="of how many images (default: 0.8)")
    command.add_argument(
        "--remove", metavar="TAGS", help="take these tags out, so that the trigger brings what they name"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="with --remove: say what would change, and change nothing"
    )
    add_settings(command, ("trigger", *READ))


def _bind(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Propose the tags that would better go, or take some out."""
    from lora_trainer.captions.binding import bindings
    from lora_trainer.captions.caption import Kept
    from lora_trainer.captions.operations import Remove
    from lora_trainer.captions.selection import Everything
    from lora_trainer.dataset.captions import tags
    from lora_trainer.dataset_commands.folder import folder_of

    project = folder_of(options)
    trigger = project.effective().data.trigger
    if options.remove is not None:
        removal = Remove(tuple(tags(options.remove)))
        return _edited(project, removal, (Everything(), Kept(trigger)), options, (language, say))
    store = project.captions()
    found = bindings(store.captions, trigger, options.common) if store else []
    say(translate("captions.bind_why" if found else "dataset.nothing_to_bind", language))
    for one in found:
        say(f"  {one.text(language)}")
    rows = [{"tag": one.tag, "count": one.images, "share": one.share, "text": one.text(language)} for one in found]
    return 0, {"bindings": rows}


def _caption_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("image", help="name of the image in the folder")
    command.add_argument("text", nargs="?", help="its new caption; without it, the one that it has is printed")
    add_settings(command, ("max_token_length", *READ))


def _caption(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Say, or change, the caption of one image."""
    from lora_trainer.dataset.checks.tokens import count_tokens
    from lora_trainer.dataset_commands.folder import folder_of
    from lora_trainer.project.captioning import Captioning, caption_of
    from lora_trainer.project.tasks import Tasks

    project = folder_of(options)
    options.filter, options.images = None, [options.image]
    (image, *_) = selection_of(options, project).images  # type: ignore[union-attr]
    if options.text is not None:
        Captioning(Tasks()).write(project, image, options.text)
    store = project.captions()
    caption = caption_of(store, image) if store else None
    text = caption.text if caption else ""
    limit = project.effective().captions.max_token_length
    tokens = count_tokens(text, limit, options.home / "cache")
    say(translate("dataset.caption", language, text=shown(text), tokens=tokens, most=limit))
    return 0, {"image": str(image), "caption": text, "tokens": tokens}


def _edited(
    project: PlainFolder,
    operation: Operation,
    target: tuple[Selection, Any],
    options: argparse.Namespace,
    to: tuple[str, Say],
) -> Results:
    """Say how many images an edit changes, and make it unless it is only to be shown."""
    from lora_trainer.project.captioning import Edit, applied

    language, say = to
    store = project.captions()
    if store is None:
        say(translate("dataset.no_images", language))
        return 1, {"changes": 0, "of": 0, "applied": False}
    preview = store.preview(operation, *target)
    values = {"changes": preview.images, "of": preview.selected}
    say(translate("dataset.would_change" if options.dry_run else "dataset.changes", language, **values))
    _show_samples(preview, say)
    refused: list[str] = []
    if not options.dry_run and preview.images:
        outcome = applied(project, Edit(type(operation).__name__, operation, *target))
        values["changes"], refused = outcome.images, [one.error.text(language) for one in outcome.refused]
        for text in refused:
            say(text)
    samples = [{"image": one.image.name, "before": one.before, "after": one.after} for one in preview.samples]
    done = {"applied": bool(not options.dry_run and values["changes"]), "refused": refused}
    return int(bool(refused)), {**values, **done, "samples": samples}


def _show_samples(preview: Preview, say: Say) -> None:
    for one in preview.samples:
        say(f"  {shown(one.image.name)}")
        say(f"    - {shown(one.before or '')}")
        say(f"    + {shown(one.after)}")


COMMANDS = (
    DatasetCommand("tags", "list the tags and how many images have them", _tags_options, _tags),
    DatasetCommand("edit", "change many captions: add, remove, replace, deduplicate, sort", _edit_options, _edit),
    DatasetCommand("bind", "propose tags to remove, so that the trigger brings what they name", _bind_options, _bind),
    DatasetCommand(
        "caption", "print the caption of one image and its tokens, or change it", _caption_options, _caption
    ),
)
