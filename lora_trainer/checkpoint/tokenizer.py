"""CLIP's tokenizer without a download: its vocabulary is rebuilt from the merges that the open_clip package carries."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path

from transformers import CLIPTokenizer

# The vocabulary uses this many of the merges in the file (openai/CLIP, simple_tokenizer.py).
MERGES = 49152 - 256 - 2


def _byte_symbols() -> list[str]:
    """The printable stand-in of every byte, in the vocabulary's order (the byte-level BPE of GPT-2)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]


def write_clip_tokenizer(folder: Path) -> Path:
    """Write ``vocab.json`` and ``merges.txt`` (49,408 entries) into ``folder``, unless they are there; return it.

    Raises ``FileNotFoundError`` when the open_clip package is not installed.
    """
    if (folder / "merges.txt").is_file() and (folder / "vocab.json").is_file():
        return folder
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package open_clip, which carries CLIP's vocabulary, is not installed")
    source = Path(spec.origin).with_name("bpe_simple_vocab_16e6.txt.gz")
    merges = gzip.decompress(source.read_bytes()).decode("utf-8").split("\n")[1 : MERGES + 1]

    symbols = _byte_symbols()
    words = [*symbols, *(symbol + "</w>" for symbol in symbols), *("".join(merge.split()) for merge in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    return folder


def clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP ViT-L's tokenizer (77 tokens, padded with the end token); its files are kept in ``folder``."""
    files = write_clip_tokenizer(folder)
    return CLIPTokenizer(
        str(files / "vocab.json"),
        str(files / "merges.txt"),
        model_max_length=77,
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
    )
