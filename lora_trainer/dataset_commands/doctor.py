"""``dataset check|fix|balance``: what is wrong with a set, what mends it, and how long a run of it is."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lora_trainer.commandline import add_settings, settings_of
from lora_trainer.dataset_commands.command import DatasetCommand, Results, Say, shown
from lora_trainer.language import translate
from lora_trainer.settings import Settings

if TYPE_CHECKING:
    from lora_trainer.dataset.checks import Brief, Finding
    from lora_trainer.dataset.checks.facts import Survey

NAMED = 8  # images of a finding that are named; --json names all
PLACED = ("resolution", "enable_bucket", "min_bucket_reso", "max_bucket_reso", "bucket_reso_steps", "bucket_no_upscale")
CHECKED = (
    *("trigger", *PLACED, "repeats", "batch_size", "alpha_mask", "background"),
    *("caption_extension", "class_tokens", "caption_prefix", "caption_suffix", "max_token_length"),
)
BALANCED = (
    *(*PLACED, "repeats", "batch_size", "epochs", "max_train_steps", "gradient_accumulation_steps"),
    *("reg_data_dir", "validation_split", "seed", "caption_extension"),
)


def _check_options(command: argparse.ArgumentParser) -> None:
    from lora_trainer.dataset.checks.brief import GOALS

    command.add_argument(
        "--goal", choices=tuple(GOALS), default="character", help="what is learnt (default: %(default)s)"
    )
    add_settings(command, CHECKED)


def _check(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Name all findings; 0 where there are none."""
    from lora_trainer.dataset.checks.findings import to_dict

    survey, _, findings = _examined(options)
    for finding in findings:
        _tell(finding, survey, language, say)
    counts = {f"{kind}s": sum(one.severity == kind for one in findings) for kind in ("error", "warning", "note")}
    key = "doctor.summary" if findings else "doctor.silent"
    say(translate(key, language, images=len(survey.images), findings=len(findings), **counts))
    data = {"images": len(survey.images), **counts, "findings": [to_dict(finding, language) for finding in findings]}
    return int(bool(findings)), data


def _fix_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "keys", nargs="+", metavar="FINDING", help="kinds of findings to mend, as check calls them in brackets, or all"
    )
    _check_options(command)


def _fix(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Mend findings of these kinds one after the other; each is measured anew, since one remedy may mend two."""
    from lora_trainer.dataset.checks import action_of, record
    from lora_trainer.dataset_commands.folder import folder_of

    project, done = folder_of(options), list[str]()
    tried: set[tuple[str, tuple[Path, ...]]] = set()
    while True:
        survey, brief, findings = _examined(options)
        wanted = [
            one for one in findings if {one.key, "all"} & set(options.keys) and (one.key, one.images) not in tried
        ]
        if not wanted:
            break
        finding = wanted[0]
        tried.add((finding.key, finding.images))
        if action := action_of(finding, survey, brief):
            with project.turn:
                record(survey.folder, action)
                project.history.action_recorded(f"mended.{finding.remedy}", {"count": len(finding.images)})
            done.append(finding.key)
            say(translate("doctor.done", language, steps=len(action), help=finding.help(language)))
    missing = [key for key in options.keys if key not in done and key != "all"]
    for key in missing:
        say(translate("doctor.nothing", language, kind=key))
    return int(bool(missing)), {"mended": done}


def _balance_options(command: argparse.ArgumentParser) -> None:
    add_settings(command, BALANCED)


def _balance(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Say how many steps a run has, and how often each folder is seen."""
    import dataclasses

    from lora_trainer.dataset.checks import survey
    from lora_trainer.dataset.checks.balance import balance, dataset_of

    settings = _settings(options)
    found = balance(dataset_of(survey(settings.data, settings.captions), settings), settings)
    say(found.sentence(language))
    for share in found.shares:
        plain = share.images * share.repeats == share.seen
        percent = round(100 * share.seen / max(1, found.seen))
        key = "balance.share" if plain else "balance.share_own"
        say(f"  {translate(key, language, **dataclasses.asdict(share), percent=percent)}")
    return 0, {**dataclasses.asdict(found), "sentence": found.sentence(language)}


def _examined(options: argparse.Namespace) -> tuple[Survey, Brief, list[Finding]]:
    from lora_trainer.dataset.bench.derived import derived_in
    from lora_trainer.dataset.checks import Brief, check, survey
    from lora_trainer.dataset.checks.tokens import count_tokens

    settings = _settings(options)
    found = survey(settings.data, settings.captions)
    parents = {found.folder / one.path: found.folder / one.parent for one in derived_in(found.folder)}
    count = partial(count_tokens, limit=settings.captions.max_token_length, folder=options.home / "cache")
    brief = Brief(settings.data, settings.captions, options.goal, count, parents)
    return found, brief, check(found, brief)


def _settings(options: argparse.Namespace) -> Settings:
    return settings_of(options, images=str(options.folder))


def _tell(finding: Finding, survey: Survey, language: str, say: Say) -> None:
    """A finding in four lines: what, the images, why, and what helps."""
    severity = translate(f"doctor.{finding.severity}", language)
    say(shown(translate("doctor.line", language, severity=severity, kind=finding.key, what=finding.what(language))))
    for path in finding.images[:NAMED]:
        inside = path.relative_to(survey.folder) if path.is_relative_to(survey.folder) else path
        say(f"    {shown(str(inside))}")
    if len(finding.images) > NAMED:
        say(f"    {translate('doctor.more', language, count=len(finding.images) - NAMED)}")
    say(f"  {translate('doctor.why', language, why=finding.why(language))}")
    key = "doctor.help" if finding.remedy else "doctor.advice"
    say(f"  {translate(key, language, help=finding.help(language))}")


COMMANDS = (
    DatasetCommand("check", "name what is wrong with the set, why it matters and what helps", _check_options, _check),
    DatasetCommand("fix", "mend findings: files are set aside or rewritten, never deleted", _fix_options, _fix),
    DatasetCommand(
        "balance", "say how many steps a run has, and how often each folder is seen", _balance_options, _balance
    ),
)
