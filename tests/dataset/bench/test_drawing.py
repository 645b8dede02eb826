"""Images drawn through the host are kept one by one, are not drawn twice, and are a subset of kohya's kind."""

from __future__ import annotations

import dataclasses
import errno
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lora_trainer.dataset.bench import drawing
from lora_trainer.dataset.bench.drawing import DrawingPlan, draw_images
from lora_trainer.dataset.bench.importing import import_images
from lora_trainer.dataset.scan import scan_regularisation
from lora_trainer.errors import BadSettings, RunFailed
from lora_trainer.host.memory import MemoryHost
from lora_trainer.host.protocol import ImageRequest, Picture
from lora_trainer.settings import CaptionSettings, DataSettings

from .told import story

PLAN = DrawingPlan(request=ImageRequest(prompt="a girl", seed=7, width=64, height=64), count=4, words="girl")


class Logged(MemoryHost):
    """Remembers what was asked for, and draws at most ``most`` pictures before it is interrupted."""

    def __init__(self, home: Path, most: int | None = None) -> None:
        super().__init__(home)
        self.asked: list[ImageRequest] = []
        self.given_back, self.most = 0, most

    def generate(self, requests: Sequence[ImageRequest]) -> Iterator[Picture]:
        try:
            for picture in itertools.islice(super().generate(requests), self.most):
                self.asked.append(picture.request)
                yield picture
        finally:
            self.given_back += 1


def test_images_captions_and_layout(tmp_path: Path) -> None:
    host = Logged(tmp_path)
    told = story(draw_images(host, tmp_path / "reg", PLAN))
    assert [event.done for event in told.progress] == [0, 1, 2, 3, 4]
    assert told.made.outcome == "finished"
    assert [request.seed for request in host.asked] == [7, 8, 9, 10]
    items = scan_regularisation(DataSettings(reg_data_dir=str(tmp_path / "reg")), CaptionSettings())
    assert [(item.group, item.repeats, item.caption) for item in items] == [("1_girl", 1, "a girl")] * 4
    assert [item.path.relative_to(tmp_path / "reg").as_posix() for item in items] == list(told.made.images)


def test_what_is_drawn_is_kept(tmp_path: Path) -> None:
    story(draw_images(Logged(tmp_path), tmp_path, PLAN))
    host = Logged(tmp_path)
    told = story(draw_images(host, tmp_path, dataclasses.replace(PLAN, count=6)))
    assert ([request.seed for request in host.asked], told.made.known) == ([11, 12], 4)
    other = dataclasses.replace(PLAN, request=dataclasses.replace(PLAN.request, steps=30))
    assert len(story(draw_images(Logged(tmp_path), tmp_path, other)).made.images) == 4


def test_stopped_here(tmp_path: Path) -> None:
    host, answers = Logged(tmp_path), iter([False, False, True])
    told = story(draw_images(host, tmp_path, PLAN, stop=lambda: next(answers)))
    assert (told.made.outcome, len(told.made.images), host.given_back) == ("stopped", 2, 1)
    again = story(draw_images(host, tmp_path, PLAN))
    assert (again.made.outcome, again.made.known, len(host.asked)) == ("finished", 2, 4)


def test_interrupted_in_the_host(tmp_path: Path) -> None:
    told = story(draw_images(Logged(tmp_path, most=3), tmp_path, PLAN))
    assert (told.made.outcome, len(told.made.images)) == ("stopped", 3)
    answers = iter([True])
    assert story(draw_images(Logged(tmp_path), tmp_path, PLAN, stop=lambda: next(answers))).made.outcome == "stopped"


def test_whoever_walks_away_gives_the_turn_back(tmp_path: Path) -> None:
    host = Logged(tmp_path)
    events = draw_images(host, tmp_path, PLAN)
    next(events), next(events)
    events.close()  # type: ignore[attr-defined]
    assert host.given_back == 1


def test_a_draft_loras_pictures_join_the_set(tmp_path: Path) -> None:
    lora = tmp_path / "draft.safetensors"
    lora.write_bytes(b"1")
    request = dataclasses.replace(PLAN.request, lora=lora, weight=0.8)
    plan = DrawingPlan(request=request, count=3, words="draft", repeats=2, caption="mychr, hat")
    host = Logged(tmp_path)
    told = story(draw_images(host, tmp_path / "drafts", plan))
    assert {(asked.lora, asked.weight) for asked in host.asked} == {(lora, 0.8)}
    good = [tmp_path / "drafts" / name for name in told.made.images[:2]]
    added = story(import_images(good, tmp_path / "set"))
    assert added.notes == []
    assert [(tmp_path / "set" / name).with_suffix(".txt").read_text() for name in added.made.images] == [
        "mychr, hat"
    ] * 2
    lora.write_bytes(b"22")  # trained anew: its pictures are new ones
    assert story(draw_images(host, tmp_path / "drafts", plan)).made.known == 0
    lora.unlink()
    with pytest.raises(BadSettings, match="LoRA"):
        story(draw_images(host, tmp_path / "drafts", plan))


def test_a_prompt_names_the_folder_safely(tmp_path: Path) -> None:
    hostile = dataclasses.replace(PLAN.request, prompt="../../<x>: a/b")
    told = story(draw_images(Logged(tmp_path), tmp_path / "reg", DrawingPlan(request=hostile, count=1)))
    assert (tmp_path / "reg" / told.made.images[0]).is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"reg"}
    assert len(list((tmp_path / "reg").iterdir())) == 1


def test_nothing_to_draw(tmp_path: Path) -> None:
    for plan in (dataclasses.replace(PLAN, count=0), dataclasses.replace(PLAN, request=ImageRequest(prompt=" "))):
        with pytest.raises(BadSettings):
            next(draw_images(Logged(tmp_path), tmp_path, plan))


def test_a_full_disk_keeps_what_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, original = Logged(tmp_path), drawing.write_whole

    def write(path: Path, content: bytes | str) -> None:
        if path.name.startswith("00003") and path.suffix == ".png":
            raise OSError(errno.ENOSPC, "No space left on device")
        original(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(drawing, "write_whole", write)
        with pytest.raises(RunFailed) as caught:
            story(draw_images(host, tmp_path, PLAN))
    assert "No space left" in caught.value.text("zh")
    assert host.given_back == 1
    assert story(draw_images(host, tmp_path, PLAN)).made.known == 2
