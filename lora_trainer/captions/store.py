"""The captions of a folder: read once, changed by operations, each shown before, written at once, undone any time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lora_trainer.captions.caption import Caption, Kept, parts, written
from lora_trainer.captions.journal import Change, Journal, Pending
from lora_trainer.captions.operations import Operation
from lora_trainer.captions.results import Outcome, Preview, Refusal, Sample
from lora_trainer.captions.selection import Selection, selected
from lora_trainer.captions.writing import Move, carry_out, content, only_one, sweep
from lora_trainer.dataset.captions import caption, caption_ending, decoded, divided
from lora_trainer.dataset.scan import caption_places
from lora_trainer.errors import BadDataset, Busy
from lora_trainer.settings import CaptionSettings

MOST_BYTES = 100_000  # of a caption; a model reads 225 tokens at most
SAMPLES = 5


class CaptionStore:
    """The captions of the images in ``folder``, by the layouts of ``dataset.scan``.

    ``captions`` are those that could be read, ``unread`` the others. An edit that a crash interrupted is completed
    when the store is made, and ``resumed`` tells what that did. Safe from several threads; edits from another program
    are waited out with ``Busy``. Raises ``BadDataset`` and ``BadSettings`` as ``scan`` does.
    """

    def __init__(self, folder: Path, settings: CaptionSettings | None = None) -> None:
        self.folder = folder.absolute()
        self.settings = settings or CaptionSettings()
        self.captions: list[Caption] = []
        self.unread: list[Refusal] = []
        self.resumed: Outcome | None = None
        self._captions: dict[Path, Caption] = {}
        self._unread: dict[Path, Refusal] = {}
        self._mark = " ".join(self.settings.keep_tokens_separator.split())
        self._journal = Journal(self.folder)
        self._turn = threading.RLock()
        self.refresh()
        # In a folder that cannot be written now, what is pending waits for the next edit.
        if self._journal.outgrown or self._journal.pending:
            with suppress(Busy, BadDataset), self._writing():
                self._journal.shorten()

    def refresh(self) -> None:
        """Read all captions anew: images may have come and gone. Raises as the store itself does."""
        with self._turn:
            places = caption_places(self.folder, self.settings)
            images: dict[Path, list[Path]] = {}
            words: dict[Path, str] = {}
            for place in places:
                images.setdefault(place.file, []).append(place.image)
                words[place.file] = place.words
            self._captions = {
                file: Caption(file, tuple(found), (), None, self._tags(words[file])) for file, found in images.items()
            }
            self._unread = {}
            self._reread(images)
            with self._blaming_folder():
                self._journal.read()

    def selected(self, selection: Selection) -> list[Caption]:
        """The captions that the selection means. Raises ``BadSettings`` for a filter that cannot be read."""
        return selected(self.captions, selection)

    def preview(self, operation: Operation, selection: Selection, kept: Kept | None = None) -> Preview:
        """What ``apply`` would do. Raises ``BadSettings`` where the operation or the selection cannot work."""
        with self._turn:
            chosen = self.selected(selection)
            planned = self._planned(operation, chosen, kept)
        samples = [
            Sample(one.images[0], None if one.content is None else one.text, caption(new)) for one, new in planned
        ]
        count = sum(len(one.images) for one in chosen)
        return Preview(sum(len(one.images) for one, _ in planned), count, tuple(samples[:SAMPLES]))

    def apply(self, operation: Operation, selection: Selection, kept: Kept | None = None) -> Outcome:
        """Change the captions; on the disk when this returns. Those that another program has changed are left alone.

        Raises ``BadSettings`` as ``preview`` does, ``Busy`` while another program edits the folder, and ``BadDataset``
        where a file cannot be written; then all are as they were.
        """
        with self._turn:
            planned = self._planned(operation, self.selected(selection), kept)
            changed = [one for one, _ in planned if _now(one.file) != one.content]
            apart = {one.file for one in changed}
            moves = [
                Move(one.file, one.content, written(new, one.content)) for one, new in planned if one.file not in apart
            ]
            refused = [self._refusal(file, "caption_changed") for file in apart]
            if moves:
                with self._writing():
                    images = sum(len(one.images) for one, _ in planned if one.file not in apart)
                    pending = self._journal.begin(operation.title, images, moves)
                    refused += self._through(pending, moves, "caption_changed")
            self._reread(apart)
            return self._outcome(moves, refused)

    def undo(self) -> Outcome | None:
        """Take the last edit back: the files' own bytes. None where there is nothing to undo. Raises as ``apply``."""
        return self._step("undo")

    def redo(self) -> Outcome | None:
        """Make the last undone edit again. None where there is nothing to redo. Raises as ``apply``."""
        return self._step("redo")

    @property
    def done(self) -> tuple[Change, ...]:
        """The edits that can be undone, the last one last."""
        return tuple(self._journal.done)

    @property
    def undone(self) -> tuple[Change, ...]:
        """The edits that can be redone, the next one last."""
        return tuple(self._journal.undone)

    def _planned(
        self, operation: Operation, chosen: Sequence[Caption], kept: Kept | None
    ) -> list[tuple[Caption, tuple[str, ...]]]:
        """The captions that change, with their new tags.

        An image without a file gets one only where the operation gives it tags, which then join its folder's words:
        the words alone would be lost, as a file goes before them.
        """
        edit = operation.editor(chosen)

        def edited(one: Caption, found: Sequence[str]) -> tuple[str, ...]:
            split = parts(found, kept or Kept(), self._mark)
            return self._tags(caption((*split.head, *edit(one, split), *split.ending)))

        planned = []
        for one in chosen:
            new = edited(one, one.tags)
            if one.content is None and one.words and new:
                new = edited(one, one.words)
            if new != one.tags:
                planned.append((one, new))
        return planned

    def _tags(self, text: str) -> tuple[str, ...]:
        return tuple(divided(text, self._mark))

    def _step(self, kind: str) -> Outcome | None:
        with self._turn:
            if not (self._journal.done if kind == "undo" else self._journal.undone):
                return None
            with self._writing():
                self._journal.step(kind)
                pending = self._journal.pending
                if pending is None:  # another program was quicker
                    return None
                moves = self._moves(pending)
                return self._outcome(moves, self._through(pending, moves, f"caption_{kind}_changed"))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The only writer, with the journal up to date and nothing pending."""
        with self._blaming_folder():
            self._journal.folder.mkdir(exist_ok=True)
            with only_one(self._journal.lock):
                self._journal.read()
                if (pending := self._journal.pending) is not None:
                    moves = self._moves(pending)
                    sweep(moves)
                    self.resumed = self._outcome(moves, self._through(pending, moves, "caption_resumed_changed"))
                yield

    @contextmanager
    def _blaming_folder(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise BadDataset("captions_unwritable", field="images", folder=self.folder, reason=reason) from error

    def _moves(self, pending: Pending) -> list[Move]:
        """What the pending step does to the files, which may be gone together with their folder."""
        moves = self._journal.moves(pending.change, caption_ending(self.settings))
        return [move if pending.forward else move.back for move in moves if move.file.parent.is_dir()]

    def _through(self, pending: Pending, moves: Sequence[Move], key: str) -> list[Refusal]:
        """Make the moves and end the step; where a file cannot be written, go back and raise ``OSError``."""
        try:
            refused = carry_out(moves)
        except OSError:
            if not pending.back:
                with suppress(OSError):  # a full disk may take the files back, yet not this line
                    self._journal.step("back")
                carry_out([move.back for move in moves])
                self._journal.step("end")
            raise
        left = {*refused}
        self._hold({move.file: move.after for move in moves if move.file not in left})
        with suppress(OSError):  # the next step finds everything made, and writes it then
            self._journal.step("end")
        refusals = [self._refusal(file, key) for file in refused]
        self._reread(refused)
        return refusals

    def _outcome(self, moves: Sequence[Move], refused: Sequence[Refusal]) -> Outcome:
        left = {one.file for one in refused}
        changed = [move.file for move in moves if move.file not in left]
        return Outcome(sum(len(self._images(file)) for file in changed), tuple(refused))

    def _images(self, file: Path) -> tuple[Path, ...]:
        known = self._captions.get(file) or self._unread.get(file)
        return known.images if known else ()

    def _refusal(self, file: Path, key: str) -> Refusal:
        return Refusal(file, self._images(file), BadDataset(key, field="images", name=file.name))

    def _reread(self, files: Iterable[Path]) -> None:
        """Read these files anew."""
        found: dict[Path, bytes | None] = {}
        for file in files:
            known = self._captions.get(file)
            if known is None:
                continue
            try:
                found[file] = _checked(file)
            except BadDataset as error:
                self._unread[file] = Refusal(file, known.images, error)
        self._hold(found)

    def _hold(self, found: Mapping[Path, bytes | None]) -> None:
        """Know these files as read or written. One that is not text is left unread."""
        for file, bytes_ in found.items():
            known = self._captions.get(file)
            if known is None:
                continue
            try:
                own = self._tags(decoded(bytes_, file.name)) if bytes_ is not None else ()
            except BadDataset as error:
                self._unread[file] = Refusal(file, known.images, error)
                continue
            self._unread.pop(file, None)
            self._captions[file] = Caption(file, known.images, own, bytes_, known.words)
        self.captions = [one for file, one in self._captions.items() if file not in self._unread]
        self.unread = list(self._unread.values())


def _checked(file: Path) -> bytes | None:
    """The bytes of a caption file. Raises ``BadDataset`` where it cannot be read or is no caption."""
    try:
        found = content(file)
    except OSError as error:
        reason = error.strerror or error
        raise BadDataset("caption_unreadable", field="images", name=file.name, reason=reason) from error
    if found is not None and len(found) > MOST_BYTES:
        kilobytes = len(found) // 1000
        raise BadDataset("caption_too_large", field="images", name=file.name, size=kilobytes, most=MOST_BYTES // 1000)
    return found


def _now(file: Path) -> bytes | OSError | None:
    """The file's bytes at this moment; an error, which equals no bytes, where it cannot be read."""
    try:
        return content(file)
    except OSError as error:
        return error
