"""What mends a finding at one click: remedies plan actions on files, which ``actions`` performs and takes back."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lora_trainer.dataset.captions import caption, tags, with_trigger
from lora_trainer.dataset.checks.actions import Action, Move, Step, Write, aside_folder
from lora_trainer.dataset.checks.balance import shares
from lora_trainer.dataset.checks.brief import Brief
from lora_trainer.dataset.checks.captioning import as_utf8, split_tags
from lora_trainer.dataset.checks.facts import Facts, Survey
from lora_trainer.dataset.checks.findings import Finding
from lora_trainer.dataset.checks.tagtables import MONOCHROME, contradicting
from lora_trainer.dataset.checks.texts import full, variants_of
from lora_trainer.dataset.pictures import open_picture
from lora_trainer.dataset.repeats import FILE, LINE, folder_repeats
from lora_trainer.errors import BadDataset

Remedy = Callable[[Finding, Survey, Brief], Iterator[Step]]
NewText = Callable[[Facts, Brief], str]


def action_of(finding: Finding, survey: Survey, brief: Brief) -> Action:
    """What the finding's remedy does to files; nothing where only the user can help. Nothing is changed yet.

    Raises ``BadDataset`` where a file cannot be read.
    """
    if not finding.remedy:
        return ()
    try:
        return tuple(REMEDIES[finding.remedy](finding, survey, brief))
    except OSError as error:
        name = Path(error.filename).name if error.filename else finding.key
        raise BadDataset("remedy_failed", field="images", name=name, reason=error.strerror or str(error)) from error


def set_aside(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Move the images beside the set, with their captions."""
    return _aside(finding.images, survey)


def set_aside_rest(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Keep the first image only."""
    return _aside(finding.images[1:], survey)


def set_aside_captions(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Move the caption files beside the set."""
    for facts in _facts(finding, survey):
        yield Move(facts.caption.path, _target(facts.caption.path, survey.folder))


def reencode(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Write captions in UTF-8 that are in another encoding."""
    for facts in _facts(finding, survey):
        before = facts.caption.path.read_bytes()
        try:
            text = as_utf8(before)
        except UnicodeDecodeError as error:
            raise BadDataset("caption_encoding", field="images", name=facts.caption.path.name) from error
        yield Write(facts.caption.path, before, text.encode("utf-8"))


def write_captions(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Caption with the folder's words, or the trigger where it has none."""
    return _rewritten(finding, survey, brief, lambda facts, _: facts.words or brief.data.trigger)


def add_trigger(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Put the trigger first."""
    return _rewritten(finding, survey, brief, lambda facts, _: with_trigger(facts.caption.text, brief.data.trigger))


def unify_trigger(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Put the trigger first, in the place of what was meant to be it."""
    return _rewritten(finding, survey, brief, _unified)


def shorten(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Take tags off the end until all is read."""
    return _rewritten(finding, survey, brief, _shortened)


def drop_contradictions(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Take out the tags that exclude each other."""
    return _rewritten(
        finding, survey, brief, lambda facts, _: _without(facts, contradicting(split_tags(facts.caption.text)))
    )


def drop_monochrome(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Take out the tags that say that a picture has no colours."""
    return _rewritten(finding, survey, brief, lambda facts, _: _without(facts, sorted(MONOCHROME)))


def fill(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Keep a PNG on the background's colour; the original moves beside the set."""
    for facts in _facts(finding, survey):
        content = io.BytesIO()
        open_picture(facts.path, brief.data.background).save(content, "PNG")
        yield Move(facts.path, _target(facts.path, survey.folder))
        yield Write(facts.path.with_suffix(".png"), None, content.getvalue())


def count_folder(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Give folders a name that counts."""
    for folder in finding.images:
        yield Move(folder, folder.with_name(f"{brief.data.repeats}_{folder.name}"))


def balance(finding: Finding, survey: Survey, brief: Brief) -> Iterator[Step]:
    """Give sub-folders the suggested repeats, by their names; those of the main folder are a setting."""
    suggested = {share.group: share.suggested for share in shares(survey.readable)}
    for folder in finding.images:
        named = folder_repeats(folder.name)
        if folder != survey.folder and named and suggested[folder.name] != named[0]:
            yield Move(folder, folder.with_name(f"{suggested[folder.name]}_{named[1]}"))


REMEDIES: dict[str, Remedy] = {
    "set_aside": set_aside,
    "set_aside_rest": set_aside_rest,
    "set_aside_captions": set_aside_captions,
    "reencode": reencode,
    "write_captions": write_captions,
    "add_trigger": add_trigger,
    "unify_trigger": unify_trigger,
    "shorten": shorten,
    "drop_contradictions": drop_contradictions,
    "drop_monochrome": drop_monochrome,
    "fill": fill,
    "count_folder": count_folder,
    "balance": balance,
}


def _facts(finding: Finding, survey: Survey) -> list[Facts]:
    wanted = set(finding.images)
    return [facts for facts in survey.images if facts.path in wanted]


def _aside(paths: Sequence[Path], survey: Survey) -> Iterator[Step]:
    """The images, their captions unless another image of the same name needs them, and their lines of repeats."""
    going = set(paths)
    needed = {facts.caption.path for facts in survey.images if facts.path not in going}
    captions = {facts.path: facts.caption.path for facts in survey.images}
    for path in paths:
        yield Move(path, _target(path, survey.folder))
        text = captions.pop(path, None)
        if text and text not in needed and text.is_file():
            needed.add(text)
            yield Move(text, _target(text, survey.folder))
    for folder in dict.fromkeys(path.parent for path in paths):
        yield from _unlisted(folder, {path.name for path in paths if path.parent == folder})


def _unlisted(folder: Path, names: set[str]) -> Iterator[Step]:
    """The list of repeats without lines on images that go: the training refuses names that are not there."""
    file = folder / FILE
    if not file.is_file():
        return
    before = file.read_bytes()
    lines = before.decode("utf-8-sig", "surrogateescape").splitlines(keepends=True)
    kept = [line for line in lines if not ((match := LINE.fullmatch(line.strip())) and match[1] in names)]
    if len(kept) < len(lines):
        yield Write(file, before, "".join(kept).encode("utf-8", "surrogateescape"))


def _target(path: Path, folder: Path) -> Path:
    """A free place beside the set, in the same sub-folder."""
    wanted = aside_folder(folder) / path.relative_to(folder)
    number, free = 2, wanted
    while free.exists() or free.is_symlink():
        free, number = wanted.with_name(f"{wanted.stem} {number}{wanted.suffix}"), number + 1
    return free


def _rewritten(finding: Finding, survey: Survey, brief: Brief, text: NewText) -> Iterator[Step]:
    """Caption files with other words; those whose words stay, or would be none, are left alone."""
    for facts in _facts(finding, survey):
        path = facts.caption.path
        before, after = path.read_bytes() if path.is_file() else None, text(facts, brief)
        if after and after != facts.caption.text:
            yield Write(path, before, after.encode("utf-8"))


def _unified(facts: Facts, brief: Brief) -> str:
    return with_trigger(_without(facts, variants_of(brief.data.trigger, facts.caption.text)), brief.data.trigger)


def _without(facts: Facts, unwanted: Sequence[str]) -> str:
    """The caption without these tags, however they are spelt."""
    plain = {spelt for tag in unwanted for spelt in split_tags(tag)}
    return caption([tag for tag in tags(facts.caption.text) if split_tags(tag)[:1] and split_tags(tag)[0] not in plain])


def _shortened(facts: Facts, brief: Brief) -> str:
    kept = tags(facts.caption.text)
    limit = brief.captions.max_token_length
    while len(kept) > 1:
        text = caption(kept)
        if brief.count_tokens(full(facts.captioned(text), brief)) <= limit:
            break
        kept.pop()
    return caption(kept)
