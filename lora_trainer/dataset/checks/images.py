"""Checks of single pictures and of pictures that show the same: from facts to findings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from lora_trainer.dataset.checks.brief import Brief, placements
from lora_trainer.dataset.checks.facts import Facts, Survey
from lora_trainer.dataset.checks.findings import Colour, Finding, found

SHARP = 0.06  # the sharpness below which a picture is blurred: what a blur of about 2 pixels leaves
LEAST = 18  # pixels: of smaller pictures no sharpness can be told
CLEAR = 0.001  # share of a picture that may be transparent
ENLARGED = 1.25  # more than so much enlarged, a picture is visibly softer
LONG = 3.0  # aspect ratio
CUT = 0.25  # share of a picture that its bucket cuts off


def damaged(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Files that are no pictures (any more), links that lead nowhere, folders that do not count or count twice."""
    if not survey.images and not survey.refusals:
        yield found("no_images", [*survey.ignored], folder=survey.folder)
    for fault in ("empty_file", "unreadable", "too_large"):
        wrong = [facts for facts in survey.images if facts.measured.fault == fault]
        if wrong:
            yield found(fault, _paths(wrong), reason=wrong[0].measured.reason)
    for key, paths in (
        ("broken_link", survey.broken_links),
        ("folder_loop", survey.loops),
        ("folder_ignored", survey.ignored),
    ):
        if paths:
            yield found(key, paths, repeats=brief.data.repeats)
    for refusal in survey.refusals:
        yield found("refused", error=refusal)


def alike(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Equal files, the same picture in another size or quality, and parts of other pictures; the best comes first."""
    groups: dict[str, list[Facts]] = defaultdict(list)
    for facts in survey.readable:
        groups[facts.measured.content or str(facts.path)].append(facts)
    for group in groups.values():
        if len(group) > 1:
            yield found("duplicates", _paths(_best_first(group)))
    unique = [_best_first(group)[0] for group in groups.values()]
    pairs = [
        (unique[one.part], unique[one.whole], one)
        for one in brief.compare([facts.look.small for facts in unique if facts.look])
        if not brief.related(unique[one.part].path, unique[one.whole].path)
    ]
    same = _connected([(part, whole) for part, whole, one in pairs if not one.is_crop])
    yield from (found("near_duplicates", _paths(_best_first(group))) for group in same)
    members = {facts.path for group in same for facts in group}
    crops: dict[Path, list[Path]] = defaultdict(list)
    for part, whole, one in pairs:
        if one.is_crop and part.path not in members:
            crops[whole.path].append(part.path)
            members.add(part.path)  # once, though it may be part of several
    yield from (found("crop", [whole, *parts]) for whole, parts in crops.items())


def blurred(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Pictures without a sharp edge anywhere."""
    soft = [
        facts
        for facts in survey.readable
        if facts.look and min(facts.size) >= LEAST and (facts.look.sharpness or 0.0) < SHARP
    ]
    if soft:
        yield found("blurred", _paths(soft))


def transparent(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Pictures with transparent parts, unless these are the mask."""
    clear = [facts for facts in survey.readable if facts.look and facts.look.clear > CLEAR]
    if clear and not brief.data.alpha_mask:
        yield found("transparent", _paths(clear), background=Colour(brief.data.background))


def misplaced(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Pictures that are enlarged much, that are very long or lose much to their bucket, or are alone in theirs."""
    places = placements(survey.readable, brief.data)
    homeless = [path for path, place in places.items() if place is None]
    if homeless:
        yield found("no_bucket", homeless)
    small, long, buckets = [], [], Counter[tuple[int, int]]()
    factor = 1.0
    for facts in survey.readable:
        place = places[facts.path]
        if place is None:
            continue
        width, height = facts.size
        enlarged = max(place.resize[0] / width, place.resize[1] / height)
        lost = 1 - place.bucket[0] * place.bucket[1] / (place.resize[0] * place.resize[1])
        if enlarged > ENLARGED:
            small.append(facts.path)
            factor = max(factor, enlarged)
        if max(width / height, height / width) >= LONG or lost > CUT:
            long.append(facts.path)
        else:
            buckets[place.bucket] += 1
    if small:
        yield found("too_small", small, factor=f"{factor:.1f}", resolution=brief.data.resolution)
    if long:
        yield found("extreme_aspect", long)
    alone = [path for path, place in places.items() if place and buckets[place.bucket] == 1 and path not in long]
    if alone and len(buckets) > 1:
        yield found("lone_bucket", alone)


def _best_first(group: Sequence[Facts]) -> list[Facts]:
    """The one to keep first: with a caption, no link, the largest."""
    return sorted(
        group, key=lambda one: (not one.caption.text, one.path.is_symlink(), -one.size[0] * one.size[1], str(one.path))
    )


def _connected(pairs: Sequence[tuple[Facts, Facts]]) -> list[list[Facts]]:
    """Groups in which each picture is paired with another one."""
    groups: list[dict[Path, Facts]] = []
    for first, second in pairs:
        touching = [group for group in groups if first.path in group or second.path in group]
        merged = {first.path: first, second.path: second}
        for group in touching:
            merged |= group
        groups = [group for group in groups if group not in touching] + [merged]
    return [list(group.values()) for group in groups]


def _paths(images: Sequence[Facts]) -> list[Path]:
    return [facts.path for facts in images]
