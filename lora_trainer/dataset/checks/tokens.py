"""How many of CLIP's tokens a caption has: the one count that the doctor, the command line and the tab share."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from lora_trainer.dataset.captions import with_trigger
from lora_trainer.dataset.checks.captioning import estimated_tokens
from lora_trainer.settings import Settings

FAR = 2  # times the limit: an estimate is never so wrong
HOPELESS = 4


def count_tokens(text: str, limit: int, folder: Path) -> int:
    """The tokens of a caption: an estimate, by CLIP's own vocabulary where the limit is near and it is at hand.

    ``limit`` is ``max_token_length``; the vocabulary is kept below ``folder``.
    """
    estimate = estimated_tokens(text)
    if FAR * estimate < limit or estimate > HOPELESS * limit:
        return estimate
    tokenizer = _tokenizer(folder)
    return estimate if tokenizer is None else len(tokenizer.tokenize(text))


def learnt_tokens(text: str, settings: Settings, folder: Path) -> int:
    """The same of the caption as it is learnt: with the trigger, the prefix and the suffix."""
    captions = settings.captions
    whole = with_trigger(text, settings.data.trigger, captions.caption_prefix, captions.caption_suffix)
    return count_tokens(whole, captions.max_token_length, folder)


@cache
def _tokenizer(folder: Path) -> Any:
    """CLIP's tokenizer; None where the package that carries its vocabulary is missing, or it cannot be kept."""
    from lora_trainer.checkpoint.tokenizer import clip_tokenizer

    try:
        return clip_tokenizer(folder / "clip")
    except OSError:
        return None
