"""The image list: which images are shown, in which order, and what is told of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_trainer.captions.caption import Caption
from lora_trainer.captions.filters import matcher
from lora_trainer.dataset.bench.derived import Derived, derived_in
from lora_trainer.dataset.captions import caption
from lora_trainer.dataset.checks.tokens import learnt_tokens
from lora_trainer.dataset.repeats import read_repeats
from lora_trainer.errors import BadDataset, UserError
from lora_trainer.project import reading
from lora_trainer.project.images import Entry, ImageIndex, image_id
from lora_trainer.project.thumbnails import version_of
from lora_trainer.settings import Settings

if TYPE_CHECKING:
    from lora_trainer.project.project import Project

SORTS = ("name", "tags", "size")
KINDS = ("all", "untagged", "originals", "derived")
FINDING = "finding:"
MOST_SHOWN = 500

CountTokens = Callable[[str], int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What part of the list is wanted. Raises ``BadSettings`` for values that cannot be."""

    offset: int = 0
    limit: int = 60
    filter: str = ""
    sort: str = "name"
    kind: str = "all"

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in ("offset", "limit", "sort", "kind")}
        reading.choice(values, "sort", "name", SORTS)
        reading.whole(values, "offset", 0, 0, reading.ANY)
        reading.whole(values, "limit", 1, 1, MOST_SHOWN)
        if not self.kind.startswith(FINDING):
            reading.choice(values, "kind", "all", KINDS)


def token_counter(project: Project, folder: Path) -> CountTokens:
    """Counts a caption's tokens as the doctor does, with the trigger and all; CLIP's vocabulary is kept in
    ``folder``."""
    return lru_cache(partial(learnt_tokens, settings=project.effective(), folder=folder))


class Listing:
    """The images of a project at this moment, with what is known of them. Raises as ``Project.images``.

    Where captions cannot be read at all, the images are shown without: what is wrong is told with the project.
    """

    def __init__(self, project: Project, count_tokens: CountTokens, settings: Settings | None = None) -> None:
        """``settings`` are what the project would train with."""
        self.project, self._count = project, count_tokens
        self._repeats = (settings or project.effective()).data.repeats
        self.index: ImageIndex = project.images()
        found: list[Caption] = []
        with suppress(UserError):
            store = project.captions()
            found = store.captions if store else []
        self.captions: dict[Path, Caption] = {image: one for one in found for image in one.images}
        self.derived = derived_by_name(self.index)
        self._own_repeats: dict[Path, Mapping[str, int]] = {}

    def page(self, query: Query) -> dict[str, Any]:
        """``total`` images, ``shown`` of them fit the query, ``items`` are the wanted part of these."""
        entries = self.chosen(query.filter, query.kind)
        entries = self._sorted(entries, query.sort)
        part = entries[query.offset : query.offset + query.limit]
        return {"total": len(self.index.entries), "shown": len(entries), "items": self.items(part)}

    def chosen(self, filter: str, kind: str = "all") -> list[Entry]:
        """The images whose tags fulfil ``filter`` and that are of this kind. Raises ``BadSettings`` for a filter that
        cannot be read."""
        fits, of_kind = matcher(filter), self._of_kind(kind)
        return [entry for entry in self.index.entries if of_kind(entry) and fits(self.tags(entry))]

    def tags(self, entry: Entry) -> tuple[str, ...]:
        """The image's own tags; none where its caption is missing or cannot be read."""
        known = self.captions.get(entry.path)
        return known.tags if known else ()

    def items(self, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        """What the page is told of these images."""
        sizes = self.project.sizes.of([entry.path for entry in entries])
        marks: dict[str, list[str]] = {}
        for key, ids in self.project.findings().items():
            for one in ids:
                marks.setdefault(one, []).append(key)
        return [
            {**self._item(entry), "width": width, "height": height, "findings": marks.get(entry.id, [])}
            for entry, (width, height) in zip(entries, sizes, strict=True)
        ]

    def _item(self, entry: Entry) -> dict[str, Any]:
        tags, derived = self.tags(entry), self.derived.get(entry.name)
        text = caption(tags)
        parent = image_id(derived.parent) if derived else None
        return {
            "id": entry.id,
            "name": entry.path.name.encode("utf-8", "replace").decode(),
            "folder": entry.folder.encode("utf-8", "replace").decode(),
            "repeats": self.repeats(entry),
            "caption": text,
            "tags": list(tags),
            "tokens": self._count(text),
            "parent": parent if parent and self.index.has(parent) else None,
            "derivation": derived.how if derived else "",
            "version": version_of(entry.path),
        }

    def repeats(self, entry: Entry) -> int:
        """How often an epoch shows the image: its own number, else its folder's, else the setting."""
        folder = entry.path.parent
        if folder not in self._own_repeats:
            try:
                names = [other.path for other in self.index.entries if other.folder == entry.folder]
                self._own_repeats[folder] = read_repeats(folder, names)
            except BadDataset:  # the doctor tells of it
                self._own_repeats[folder] = {}
        own = self._own_repeats[folder].get(entry.path.name)
        return own or entry.repeats or self._repeats

    def _of_kind(self, kind: str) -> Callable[[Entry], bool]:
        if kind.startswith(FINDING):
            wanted = set(self.project.findings().get(kind.removeprefix(FINDING), ()))
            return lambda entry: entry.id in wanted
        tests: dict[str, Callable[[Entry], bool]] = {
            "all": lambda entry: True,
            "untagged": lambda entry: not self.tags(entry),
            "originals": lambda entry: entry.name not in self.derived,
            "derived": lambda entry: entry.name in self.derived,
        }
        return tests[kind]

    def _sorted(self, entries: list[Entry], sort: str) -> list[Entry]:
        """By name as the set is, or with the fewest tags or the fewest pixels first."""
        if sort == "tags":
            return sorted(entries, key=lambda entry: len(self.tags(entry)))
        if sort == "size":
            sizes = self.project.sizes.of([entry.path for entry in entries])
            area = {entry.id: width * height for entry, (width, height) in zip(entries, sizes, strict=True)}
            return sorted(entries, key=lambda entry: area[entry.id])
        return entries


def derived_by_name(index: ImageIndex) -> dict[str, Derived]:
    """What the images that were made from others were made from, by their names."""
    if not index.entries:
        return {}
    return {one.path: one for one in derived_in(index.folder)}
