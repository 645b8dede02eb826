"""What the words of booru sites say about a picture: which exclude each other, and which tell of foreign marks."""

from __future__ import annotations

import re
from collections.abc import Sequence

SEVERAL_GIRLS = frozenset(("2girls", "3girls", "4girls", "5girls", "6+girls", "multiple girls"))
SEVERAL_BOYS = frozenset(("2boys", "3boys", "4boys", "5boys", "6+boys", "multiple boys"))
SEVERAL = SEVERAL_GIRLS | SEVERAL_BOYS | {"multiple others", "couple"}
ONE = frozenset(("1girl", "1boy", "1other"))

# Each side excludes the other.
EXCLUSIVE: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset(("solo",)), SEVERAL),
    (frozenset(("no humans",)), ONE | SEVERAL),
    (frozenset(("1girl",)), SEVERAL_GIRLS),
    (frozenset(("1boy",)), SEVERAL_BOYS),
    (frozenset(("day",)), frozenset(("night",))),
    (frozenset(("lowres",)), frozenset(("highres", "absurdres"))),
    (frozenset(("monochrome", "greyscale", "grayscale")), frozenset(("colorful", "colourful"))),
)
# Only one of each row is true of a single figure.
ONE_OF: tuple[tuple[str, ...], ...] = (
    ("long hair", "short hair", "medium hair", "bald"),
    ("open mouth", "closed mouth"),
    ("full body", "upper body", "lower body", "portrait", "cowboy shot"),
    ("standing", "sitting", "lying"),
)
MONOCHROME = frozenset(("monochrome", "greyscale", "grayscale", "black and white"))
MARKS = frozenset(
    (
        *("watermark", "sample watermark", "signature", "artist name", "logo", "username", "twitter username"),
        *("patreon username", "pixiv username", "web address", "text", "english text", "chinese text"),
        *("japanese text", "korean text", "text focus", "speech bubble", "copyright name", "copyright notice"),
        *("dated", "artist logo", "patreon logo", "getty images", "stock photo", "subtitled", "caption"),
    )
)
# What a character has only one of, whichever it is: "blue hair", "red eyes".
TRAIT = re.compile(
    r"(aqua|black|blonde|blue|brown|green|grey|gray|orange|pink|purple|red|silver|white|yellow) (hair|eyes)"
)


def contradicting(tags: Sequence[str]) -> list[str]:
    """Those of a picture's ``tags`` (as ``split_tags`` gives them) that cannot be true together."""
    own = set(tags)
    wrong: set[str] = set()
    for first, second in EXCLUSIVE:
        if own & first and own & second:
            wrong |= own & (first | second)
    if "solo" in own and len(own & ONE) > 1:
        wrong |= own & (ONE | {"solo"})
    if not own & SEVERAL and len(own & ONE) <= 1:
        for row in ONE_OF:
            if len(own & set(row)) > 1:
                wrong |= own & set(row)
    return [tag for tag in tags if tag in wrong]
