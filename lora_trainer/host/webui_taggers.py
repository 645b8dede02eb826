"""The WebUI's taggers: its own deepbooru and BLIP, and the models of the tagger extension in both its forms.

Each waits for its turn, as it uses the card that pictures are drawn on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from modules import devices, shared
from PIL import Image

from lora_trainer.host import compat
from lora_trainer.host.webui_turn import Turn
from lora_trainer.tagging.tagger import BadTagger, Reading, Tagger

log = logging.getLogger(__name__)
DEEPBOORU_SIZE = 512
RATING = "rating:"  # how DeepDanbooru's list marks ratings


class HostTagger:
    """Implements ``Tagger`` with a function that reads some images."""

    writes_sentences = False

    def __init__(
        self, name: str, read: Callable[[Sequence[Image.Image]], list[Reading]], forget: Callable[[], None], turn: Turn
    ) -> None:
        self.name = name
        self._read, self._forget, self._turn = read, forget, turn

    def tag(self, images: Sequence[Image.Image]) -> list[Reading]:
        """One reading an image. Raises ``BadTagger`` whatever goes wrong in the WebUI's or an extension's code."""
        with self._in_turn():
            try:
                return self._read([image.convert("RGB") for image in images])
            except Exception as error:
                log.exception("the tagger %s failed", self.name)
                reason = str(error).strip().partition("\n")[0][:300] or type(error).__name__
                raise BadTagger("tagger_of_host", field="tagger", name=self.name, reason=reason) from error

    def unload(self) -> None:
        """Have the WebUI or the extension let go of the model; a failure there is logged, and no more."""
        with self._in_turn():
            try:
                self._forget()
                devices.torch_gc()
            except Exception:
                log.exception("the tagger %s could not be unloaded", self.name)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Have the turn, which may be ours already."""
        if self._turn.mine:
            yield
            return
        with self._turn.taken():
            yield


def installed(turn: Turn) -> list[Tagger]:
    """Everything that can tag here: the extension's models first, as the better ones."""
    extension = [_Extension(name) for name in compat.interrogators()]
    found: list[Tagger] = [HostTagger(one.name, one.read, one.forget, turn) for one in extension]
    found.append(HostTagger("deepbooru", _deepbooru, _forget_deepbooru, turn))
    if getattr(shared, "interrogator", None) is not None:
        found.append(HostCaptioner("blip", _blip, _forget_blip, turn))
    return found


class HostCaptioner(HostTagger):
    """The same for one that writes sentences."""

    writes_sentences = True


class _Extension:
    """A model of the tagger extension, by its name: the extension may make its list anew at any time."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, images: Sequence[Image.Image]) -> list[Reading]:
        """Its raw probabilities, which no threshold and no setting of the extension has touched."""
        model = compat.interrogators()[self.name]
        readings = []
        for image in images:
            ratings, tags = model.interrogate(image)
            readings.append(Reading(general=_floats(tags), ratings=_floats(ratings)))
        return readings

    def forget(self) -> None:
        """Both forms keep a model until their own button is pressed."""
        compat.interrogators()[self.name].unload()


def _deepbooru(images: Sequence[Image.Image]) -> list[Reading]:
    """DeepDanbooru's probabilities. Its own ``tag`` would drop, escape and join tags as the WebUI's settings say."""
    from modules import deepbooru
    from modules.images import resize_image

    deepbooru.model.start()
    try:
        return [_deepbooru_reading(deepbooru.model.model, resize_image, image) for image in images]
    finally:
        deepbooru.model.stop()


def _forget_deepbooru() -> None:
    """After its work it waits in the computer's memory, or on the card where the user wants that, and stays there."""
    from modules import deepbooru

    if not _kept_on_card():
        deepbooru.model.model = None  # the WebUI loads it when it is asked for again


def _deepbooru_reading(net: Any, resize: Callable[..., Image.Image], image: Image.Image) -> Reading:
    """(1, 512, 512, 3), RGB, 0 to 1; resize mode 2 fits the whole image in and fills up its sides."""
    picture = np.asarray(resize(2, image, DEEPBOORU_SIZE, DEEPBOORU_SIZE), np.float32)[None] / 255
    weight = next(iter(net.parameters()))
    with torch.no_grad(), devices.autocast():
        found = net(torch.from_numpy(picture).to(weight.device, weight.dtype))[0].float().cpu().tolist()
    pairs = list(zip(net.tags, found, strict=True))
    return Reading(
        general={tag: value for tag, value in pairs if not tag.startswith(RATING)},
        ratings={tag.removeprefix(RATING): value for tag, value in pairs if tag.startswith(RATING)},
    )


def _blip(images: Sequence[Image.Image]) -> list[Reading]:
    """BLIP's sentences, without CLIP, which the WebUI's own ``load`` would bring along."""
    interrogator: Any = shared.interrogator
    if interrogator.blip_model is None:
        model = interrogator.load_blip_model()
        whole = shared.cmd_opts.no_half or interrogator.running_on_cpu
        interrogator.blip_model = model if whole else model.half()
    interrogator.blip_model = interrogator.blip_model.to(devices.device_interrogate)
    interrogator.dtype = next(iter(interrogator.blip_model.parameters())).dtype
    try:
        sentences = [" ".join(interrogator.generate_caption(image).split()) for image in images]
    finally:
        interrogator.send_blip_to_ram()
    return [Reading({sentence: 1.0} if sentence else {}) for sentence in sentences]


def _forget_blip() -> None:
    """As ``_forget_deepbooru``; the WebUI's own ``unload`` would only move it."""
    interrogator: Any = shared.interrogator
    if not _kept_on_card():
        interrogator.blip_model = None


def _kept_on_card() -> bool:
    """Whether the user has the WebUI keep its taggers ready."""
    return bool(getattr(shared.opts, "interrogate_keep_models_in_memory", False))


def _floats(tags: dict[str, Any]) -> dict[str, float]:
    """Plain numbers: the extension's are numpy's."""
    return {str(tag): float(value) for tag, value in tags.items()}
