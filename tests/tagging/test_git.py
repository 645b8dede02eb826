"""GIT, on a tiny model with random weights: that it loads, runs and says something, or why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from lora_trainer.tagging.git import GitCaptioner
from lora_trainer.tagging.tagger import BadTagger
from tests.dataset.files import picture, says

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "square", "on", "blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import BertTokenizerFast, CLIPImageProcessor, GitConfig, GitForCausalLM

    found = tmp_path_factory.mktemp("git")
    (found / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**small, "image_size": 32, "patch_size": 16}
    torch.manual_seed(0)
    ends = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    GitForCausalLM(GitConfig(vision_config=vision, vocab_size=len(WORDS), **small, **ends)).save_pretrained(found)
    BertTokenizerFast(str(found / "vocab.txt")).save_pretrained(found)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(found)
    settings = json.loads((found / "preprocessor_config.json").read_text(encoding="utf-8"))
    (found / "preprocessor_config.json").write_text(json.dumps({**settings, "processor_class": "GitProcessor"}))
    return found


def test_one_sentence_an_image(folder: Path) -> None:
    tagger = GitCaptioner("git", folder)
    images = [picture(64, 48), Image.new("RGBA", (20, 60), "red")]
    readings = tagger.tag(images)
    assert tagger.writes_sentences
    assert len(readings) == 2
    for reading in readings:
        assert len(reading.general) <= 1
        assert all(set(sentence.split()) <= set(WORDS) for sentence in reading.general)
    assert tagger.tag([]) == []


def test_a_folder_without_such_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadTagger) as caught:
        GitCaptioner("git", tmp_path)
    assert says(caught.value, str(tmp_path))
