"""GIT, which describes an image in a sentence (Wang et al., arXiv:2205.14100), through transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lora_trainer.tagging.models import MB, Model, RemoteFile
from lora_trainer.tagging.tagger import BadTagger, Reading

LONGEST = 50  # tokens

CONFIGS = ("config", "generation_config", "preprocessor_config", "special_tokens_map", "tokenizer_config", "tokenizer")
# Its files are checked against the hub's own hash alone.
GIT = Model(
    "git-large-coco",
    "main",
    (
        *(RemoteFile(f"{name}.json", 0) for name in CONFIGS),
        RemoteFile("model.safetensors", 1580 * MB, rounding=10 * MB),
    ),
    owner="microsoft",
)


class GitCaptioner:
    """Implements ``Tagger`` with a model's folder; ``device`` is torch's name of where it runs."""

    writes_sentences = True

    def __init__(self, name: str, folder: Path, device: str = "cpu") -> None:
        """Raises ``BadTagger`` where the folder holds no such model."""
        from transformers import AutoModelForCausalLM, AutoProcessor

        self.name, self._device = name, device
        try:
            self._processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True)
            model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            line = (str(error).strip().splitlines() or ["?"])[0][:300]
            raise BadTagger("tagger_not_git", field="tagger", name=folder, reason=line) from error
        self._model: Any = model.eval().to(device)

    def tag(self, images: Sequence[Image.Image]) -> list[Reading]:
        """One sentence an image, found by a search with three beams."""
        import torch

        if not images:
            return []
        pixels = self._processor(images=[image.convert("RGB") for image in images], return_tensors="pt").pixel_values
        with torch.inference_mode():
            tokens = self._model.generate(pixel_values=pixels.to(self._device), max_length=LONGEST, num_beams=3)
        texts = self._processor.batch_decode(tokens, skip_special_tokens=True)
        return [Reading({" ".join(text.split()): 1.0} if text.strip() else {}) for text in texts]

    def unload(self) -> None:
        """Let go of the model, and of what torch keeps of the card's memory for it."""
        import torch

        self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
