"""Which taggers there are, whether they are on this computer, and making one ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from lora_trainer.host.protocol import Host
from lora_trainer.language import English, translate
from lora_trainer.project.stopping import Stop, Stopped
from lora_trainer.project.words import Words
from lora_trainer.tagging.download import Sources, fetch, find
from lora_trainer.tagging.events import Fetching
from lora_trainer.tagging.git import GIT
from lora_trainer.tagging.models import WD14, Model
from lora_trainer.tagging.tagger import BadTagger, Tagger
from lora_trainer.tagging.wd14 import Wd14

WD14_KIND, HOST_KIND, SENTENCE_KIND = "wd14", "host", "sentence"
MODELS = (*WD14, GIT)
BUILT_IN = ("deepbooru", "blip")  # the WebUI's own; others of a host are an extension's

Told: TypeAlias = Callable[[Fetching], None]


@dataclass(frozen=True, slots=True)
class Option:
    """A tagger that may be chosen. ``size`` is what has to be downloaded, in bytes, of those known by name."""

    name: str
    kind: str
    present: bool
    size: int = 0
    repo: str = ""

    def title(self, language: str = English) -> str:
        """Its name as people know it."""
        known = self.kind != WD14_KIND and self.name in (*BUILT_IN, GIT.name)
        return translate(f"tagger.{self.name}", language) if known else self.name

    def text(self, language: str = English) -> str:
        """Where its model is."""
        if not self.repo:
            own = self.name if self.name in BUILT_IN else "extension"
            return translate(f"tagger.{own}.where", language)
        key = "tagger.present" if self.present else "tagger.absent"
        return translate(key, language, size=megabytes(self.size), repo=self.repo)


class Taggers:
    """The taggers of a host, and the models that run without one."""

    def __init__(self, host: Host, sources: Callable[[], Sources] = Sources) -> None:
        """``sources`` tells anew where models lie and come from, as settings may change."""
        self.host = host
        self._sources = sources

    def options(self) -> list[Option]:
        """All of them: WD14's models, the host's own, GIT."""
        sources = self._sources()
        own = [
            Option(model.name, WD14_KIND, find(model, sources) is not None, model.size, model.repo) for model in WD14
        ]
        hosts = [
            Option(one.name, SENTENCE_KIND if one.writes_sentences else HOST_KIND, True) for one in self.host.taggers()
        ]
        return [*own, *hosts, Option(GIT.name, SENTENCE_KIND, find(GIT, sources) is not None, GIT.size, GIT.repo)]

    def check(self, name: str, download: bool) -> None:
        """Raises ``BadTagger`` for a name that nobody has, and for a model that would have to be downloaded though it
        may not."""
        model = _model(name)
        if model is None:
            self._of_host(name)
        elif not download and find(model, self._sources()) is None:
            raise _needs_download(model)

    def threshold(self, name: str) -> float:
        """The probability from which its general tags count, if the user says nothing else."""
        model = _model(name)
        return 0.35 if model is None else model.threshold

    def fetched(self, name: str, on_fetch: Told, stop: Stop) -> None:
        """See to it that the model is here. Raises ``BadTagger``, and ``Stopped`` where ``stop`` says so."""
        model = _model(name)
        if model is None:
            return
        for event in (fetching := fetch(model, self._sources())):
            on_fetch(event)
            if stop():
                fetching.close()
                raise Stopped

    def uses_card(self, name: str) -> bool:
        """Whether it works on the card that pictures are drawn on."""
        import torch

        return _model(name) is None or torch.cuda.is_available()

    @contextmanager
    def ready(self, name: str) -> Iterator[Tagger]:
        """The tagger, whose model is here; its memory is given back at the end. Raises ``BadTagger``."""
        tagger = self._made(name)
        try:
            yield tagger
        finally:
            tagger.unload()

    def _made(self, name: str) -> Tagger:
        model = _model(name)
        if model is None:
            return self._of_host(name)
        folder = find(model, self._sources())
        if folder is None:  # it was there a moment ago
            raise _needs_download(model)
        if model is not GIT:
            return Wd14(name, folder)
        import torch

        from lora_trainer.tagging.git import GitCaptioner

        return GitCaptioner(name, folder, "cuda" if torch.cuda.is_available() else "cpu")

    def _of_host(self, name: str) -> Tagger:
        """Raises ``BadTagger``."""
        own = {one.name: one for one in self.host.taggers()}
        if name not in own:
            known = ", ".join([*(model.name for model in MODELS), *own])
            raise BadTagger("tagger_unknown", field="tagger", name=name, known=known)
        return own[name]


def fetching_words(event: Fetching, name: str) -> Words:
    """What is said while a model is on its way."""
    return Words("task.tag.fetching", {"name": name, "done": megabytes(event.done), "total": megabytes(event.total)})


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e6:,.0f} MB"


def _needs_download(model: Model) -> BadTagger:
    sizes = {"size": megabytes(model.size), "repo": model.repo}
    return BadTagger("tagger_needs_download", field="tagger", name=model.name, **sizes)


def _model(name: str) -> Model | None:
    """The model of that name that runs without a host."""
    return next((model for model in MODELS if model.name == name), None)
