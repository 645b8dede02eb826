"""The WebUI's taggers, on the WebUI of paper: deepbooru, BLIP, and the extension in both its forms."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lora_trainer.tagging.tagger import BadTagger
from tests.dataset.files import says
from tests.webui.paper import Paper, made

pytest_plugins = ["tests.webui.paper"]
RED = Image.new("RGBA", (64, 32), (255, 0, 0, 255))


class Net(torch.nn.Module):
    """DeepDanbooru as far as it is used: means of the colours, as probabilities of four tags."""

    tags = ("red", "green", "long_hair_(blue)", "rating:safe")

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        assert pixels.shape == (1, 512, 512, 3)
        return torch.cat([pixels.mean((1, 2)), torch.full((1, 1), 0.25)], 1) * self.weight


class Blip(torch.nn.Linear):
    """BLIP: a module with weights."""


def with_modules(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The WebUI's own taggers; returns its interrogator."""
    booru = SimpleNamespace(
        model=Net(), start=lambda: paper.log.append("started"), stop=lambda: paper.log.append("stopped")
    )
    resized = lambda mode, image, width, height: image.resize((width, height))  # noqa: E731
    for name, values in {"deepbooru": {"model": booru}, "images": {"resize_image": resized}}.items():
        monkeypatch.setitem(sys.modules, f"modules.{name}", made(f"modules.{name}", values))
    devices, shared = sys.modules["modules.devices"], sys.modules["modules.shared"]
    monkeypatch.setattr(devices, "autocast", contextlib.nullcontext, raising=False)
    monkeypatch.setattr(devices, "device_interrogate", torch.device("cpu"), raising=False)
    shared.cmd_opts.no_half = False
    interrogator = SimpleNamespace(
        blip_model=None,
        running_on_cpu=True,
        dtype=None,
        load_blip_model=lambda: Blip(1, 1),
        generate_caption=lambda image: f"a {image.mode} picture,\nof {image.width} pixels",
        send_blip_to_ram=lambda: paper.log.append("blip away"),
    )
    monkeypatch.setattr(shared, "interrogator", interrogator, raising=False)
    return interrogator


def tagger(host: Any, name: str) -> Any:
    return next(one for one in host.taggers() if one.name == name)


def test_deepbooru_tells_probabilities_whatever_the_settings(
    paper: Paper, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_modules(paper, monkeypatch)
    booru = tagger(host, "deepbooru")
    assert not booru.writes_sentences
    (reading,) = booru.tag([RED])
    assert reading.general == {"red": 1.0, "green": 0.0, "long_hair_(blue)": 0.0}
    assert reading.ratings == {"safe": 0.25}
    assert paper.log.index("begin lora_trainer") < paper.log.index("started") < paper.log.index("stopped")
    assert not paper.lock.locked()


def test_blip_writes_sentences_without_clip(paper: Paper, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    interrogator = with_modules(paper, monkeypatch)
    blip = tagger(host, "blip")
    assert blip.writes_sentences
    assert [reading.general for reading in blip.tag([RED, RED])] == [{"a RGB picture, of 64 pixels": 1.0}] * 2
    assert interrogator.dtype == torch.float32
    assert "blip away" in paper.log
    blip.unload()
    assert interrogator.blip_model is None


def test_the_webui_keeps_its_models_where_the_user_wants_that(
    paper: Paper, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrogator = with_modules(paper, monkeypatch)
    booru = sys.modules["modules.deepbooru"].model
    sys.modules["modules.shared"].opts.interrogate_keep_models_in_memory = True
    for name in ("deepbooru", "blip"):
        tagger(host, name).tag([RED])
        tagger(host, name).unload()
    assert booru.model is not None and interrogator.blip_model is not None
    sys.modules["modules.shared"].opts.interrogate_keep_models_in_memory = False
    tagger(host, "deepbooru").unload()
    assert booru.model is None
    assert not paper.lock.locked()


def test_a_turn_that_is_ours_is_used(paper: Paper, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with_modules(paper, monkeypatch)
    with host._turn.taken():
        assert tagger(host, "deepbooru").tag([RED])


class Interrogator:
    """A model of the extension, as both its forms have it."""

    loaded = False

    def unload(self) -> bool:
        unloaded, self.loaded = self.loaded, False
        return unloaded

    def interrogate(self, image: Image.Image) -> tuple[dict[str, Any], dict[str, Any]]:
        self.loaded = True
        red = np.float32(np.asarray(image)[..., 0].mean() / 255)
        return {"general": np.float32(0.9)}, {"1girl": red, "long_hair": 0.001}


@pytest.mark.parametrize("form", ["picobyte", "toriato", "toriato without its option"])
def test_the_extension_in_both_forms(paper: Paper, host: Any, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    utils = ModuleType("tagger.utils")
    models = {"wd14-vit-v2": Interrogator()}
    if form == "picobyte":
        monkeypatch.setitem(sys.modules, "tagger.uiset", ModuleType("tagger.uiset"))
        utils.interrogators = models  # type: ignore[attr-defined]
    else:  # empty at first, and another dictionary after every refresh

        def refresh() -> None:
            utils.interrogators = models  # type: ignore[attr-defined]
            if form != "toriato":
                raise AttributeError("deepdanbooru_projects_path")

        utils.interrogators = {}  # type: ignore[attr-defined]
        utils.refresh_interrogators = refresh  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tagger.utils", utils)
    found = tagger(host, "wd14-vit-v2")
    other = Interrogator()
    utils.interrogators = {"wd14-vit-v2": other}  # type: ignore[attr-defined]
    (reading,) = found.tag([RED])
    assert other.loaded
    found.unload()
    assert not other.loaded
    assert reading.general == {"1girl": 1.0, "long_hair": 0.001}
    assert reading.ratings == {"general": pytest.approx(0.9)}
    assert all(type(value) is float for value in (*reading.general.values(), *reading.ratings.values()))


def test_what_fails_in_an_extension_is_one_sentence(paper: Paper, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    utils = ModuleType("tagger.utils")
    utils.interrogators = {"broken": SimpleNamespace()}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tagger.utils", utils)
    with pytest.raises(BadTagger) as caught:
        tagger(host, "broken").tag([RED])
    assert says(caught.value, "broken", "interrogate")
    tagger(host, "broken").unload()  # fails in the log alone
    assert not paper.lock.locked()


def test_where_the_extension_keeps_its_models(paper: Paper, tmp_path: Path) -> None:
    import importlib

    compat = importlib.import_module("lora_trainer.host.compat")
    assert compat.tagger_caches() == (tmp_path / "interrogators",)
    sys.modules["modules.shared"].opts.tagger_hf_cache_dir = str(tmp_path / "elsewhere")
    assert compat.tagger_caches() == (tmp_path / "elsewhere", tmp_path / "interrogators")
