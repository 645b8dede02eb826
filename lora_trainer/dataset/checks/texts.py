"""Checks of captions: from facts to findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lora_trainer.dataset.captions import tags, with_trigger
from lora_trainer.dataset.checks.brief import Brief
from lora_trainer.dataset.checks.captioning import has_tag, loosely, split_tags
from lora_trainer.dataset.checks.facts import Facts, Survey
from lora_trainer.dataset.checks.findings import NOTE, Finding, found
from lora_trainer.dataset.checks.tagtables import MARKS, MONOCHROME, TRAIT, contradicting

COLOURFUL = 18.0  # the colourfulness from which on a picture is not monochrome
TELLING = 8  # captions that name a trait before it counts as known
MOST = 0.8  # share of them that agree
LONG_TRIGGER = 5  # letters: of shorter words, one that differs by a letter is another word
QUOTED = 5  # tags that are quoted


def broken(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Caption files that cannot be read, are no captions, are empty, or lack although others are there."""
    for key in ("encoding", "unreadable", "huge"):
        wrong = [facts for facts in survey.readable if facts.caption.fault == key]
        if wrong:
            yield found(f"caption_{key}", [facts.path for facts in wrong], reason=wrong[0].caption.reason)
    captioned = {facts.path.parent for facts in survey.images if facts.caption.fault != "missing"}
    missing = [
        facts
        for facts in survey.readable
        if facts.caption.fault == "missing" and (facts.path.parent in captioned or not facts.words)
    ]
    if missing and not _elsewhere(survey):
        told = found("caption_missing", [facts.path for facts in missing])
        yield told if captioned else replace(told, severity=NOTE)  # a set that is new: tagging comes next
    empty = [facts.path for facts in survey.readable if not (facts.caption.fault or facts.caption.text)]
    if empty:
        yield found("caption_empty", empty)


def overlong(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Captions of which the end is never read."""
    limit = brief.captions.max_token_length
    counts = {facts.path: brief.count_tokens(full(facts, brief)) for facts in _written(survey)}
    long = [path for path, count in counts.items() if count > limit]
    if long:
        yield found("caption_long", long, limit=limit, longest=max(counts.values()))


def trigger(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Captions that write the trigger differently, and captions without it where others have it."""
    word = brief.data.trigger.strip()
    if not word:
        return
    written = _written(survey)
    odd = {facts.path: variants for facts in written if (variants := variants_of(word, facts.caption.text))}
    if odd:
        forms = Counter(form for variants in odd.values() for form in variants)
        yield found("trigger_variant", list(odd), trigger=word, forms=_quoted(list(forms)))
    without = [facts.path for facts in written if not has_tag(facts.caption.text, word) and facts.path not in odd]
    if without and len(without) + len(odd) < len(written):
        yield found("trigger_missing", without, trigger=word)


def contradictions(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Tags that exclude each other, or what the picture shows, or what nearly all others say."""
    wrong = {facts.path: pair for facts in _written(survey) if (pair := contradicting(split_tags(facts.caption.text)))}
    if wrong:
        yield found("contradiction", list(wrong), tags=_quoted(sorted({tag for own in wrong.values() for tag in own})))
    coloured = [
        facts.path
        for facts in _written(survey)
        if facts.look and facts.look.colour > COLOURFUL and MONOCHROME & set(split_tags(facts.caption.text))
    ]
    if coloured:
        yield found("not_monochrome", coloured)
    yield from _outliers(survey)


def marks(survey: Survey, brief: Brief) -> Iterator[Finding]:
    """Captions that tell of a watermark, a signature or writing."""
    marked = {facts.path: tuple(MARKS & set(split_tags(facts.caption.text))) for facts in _written(survey)}
    images = [path for path, own in marked.items() if own]
    if images:
        named = sorted({tag for own in marked.values() for tag in own})
        yield found("marks", images, tags=_quoted(named))


def full(facts: Facts, brief: Brief) -> str:
    """The caption as it is learnt."""
    captions = brief.captions
    return with_trigger(facts.caption.text, brief.data.trigger, captions.caption_prefix, captions.caption_suffix)


def variants_of(word: str, text: str) -> list[str]:
    """The tags that mean the trigger ``word`` but are written differently: other blanks or marks, one letter wrong."""
    plain = loosely(word)
    return [
        tag
        for tag in tags(text)
        if tag.lower() != word.lower() and plain and (loosely(tag) == plain or _one_off(plain, loosely(tag)))
    ]


def _one_off(word: str, other: str) -> bool:
    """Whether one letter was added, left out or mistaken."""
    if len(word) < LONG_TRIGGER or abs(len(word) - len(other)) > 1 or word == other:
        return False
    same = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    rests = ((word[same + 1 :], other[same + 1 :]), (word[same:], other[same + 1 :]), (word[same + 1 :], other[same:]))
    return any(first == second for first, second in rests)


def _outliers(survey: Survey) -> Iterator[Finding]:
    """Captions with another colour of hair or eyes than nearly all have."""
    named: dict[str, dict[Path, set[str]]] = {}
    for facts in _written(survey):
        for tag in split_tags(facts.caption.text):
            if match := TRAIT.fullmatch(tag):
                named.setdefault(match[2], {}).setdefault(facts.path, set()).add(tag)
    for by_image in named.values():
        usual, count = Counter(tag for own in by_image.values() for tag in own).most_common(1)[0]
        odd = {path: own for path, own in by_image.items() if usual not in own}
        if odd and len(by_image) >= TELLING and count >= MOST * len(by_image):
            yield found("outlier", list(odd), usual=usual, tags=_quoted(sorted(set().union(*odd.values()))))


def _written(survey: Survey) -> list[Facts]:
    """The readable images with a caption that says something."""
    return [facts for facts in survey.readable if facts.caption.text]


def _elsewhere(survey: Survey) -> bool:
    """Whether all captions have another ending, which is a finding of its own."""
    return any(refusal.key == "captions_elsewhere" for refusal in survey.refusals)


def _quoted(tags: list[str]) -> str:
    return ", ".join(f"“{tag[:60]}”" for tag in tags[:QUOTED]) + (" …" if len(tags) > QUOTED else "")
