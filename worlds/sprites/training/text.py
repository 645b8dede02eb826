"""Teach the text encoder to read tags: ``python -m worlds.sprites.training.text OUT``.

Every position from the end token on (the padding too) must tell every attribute that the caption names, through one
linear layer. The U-Net then finds the whole prompt wherever its cross-attention looks.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import torch

from lora_trainer.checkpoint.tokenizer import clip_tokenizer
from worlds.sprites.figures import FIGURES
from worlds.sprites.palette import COLOURS
from worlds.sprites.scene import PLACES, SIZES, caption, random_scene
from worlds.sprites.training.parts import TEXT_WIDTH, TagTokens, cosine, make_text_encoder, save

STEPS, BATCH, LR, SEED = 2500, 128, 2e-3, 2
LENGTH = 48  # tokens looked at while training; no caption is longer
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "subject": tuple(sorted(FIGURES)),
    "colour": tuple(COLOURS),
    "background": tuple(COLOURS),
    "size": SIZES,
    "place": tuple(PLACES),
    "hat": tuple(COLOURS),
    "border": tuple(COLOURS),
}


def named(text: str) -> list[int]:
    """The class of each attribute that ``text`` names, counted from 1; 0 where it names none."""
    found = dict.fromkeys(ATTRIBUTES, 0)
    for tag in text.split(", "):
        colour, _, thing = tag.partition(" ")
        if tag in SIZES:
            found["size"] = 1 + SIZES.index(tag)
        elif tag in PLACES.values():
            found["place"] = 1 + list(PLACES.values()).index(tag)
        elif thing in ("background", "hat", "border"):
            found[thing] = 1 + ATTRIBUTES[thing].index(colour)
        elif thing in FIGURES:
            found["colour"] = 1 + ATTRIBUTES["colour"].index(colour)
            found["subject"] = 1 + ATTRIBUTES["subject"].index(thing)
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    tokenizer = clip_tokenizer(args.out / "clip")
    tokenize = TagTokens(tokenizer)
    encoder = make_text_encoder()
    heads = torch.nn.ModuleList(torch.nn.Linear(TEXT_WIDTH, 1 + len(values)) for values in ATTRIBUTES.values())
    optimizer = torch.optim.AdamW([*encoder.parameters(), *heads.parameters()], lr=LR, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: cosine(s, args.steps))
    start = time.monotonic()
    for step in range(1, args.steps + 1):
        texts = [caption(random_scene(rng), rng, left_out=rng.choice([0.1, 0.5])) for _ in range(BATCH)]
        targets = torch.tensor([named(text) for text in texts])
        tokens = tokenize([_with_stranger(text, rng) for text in texts])[:, :LENGTH]
        hidden = encoder(tokens).last_hidden_state
        end = (tokens == tokenizer.eos_token_id).int().argmax(1)
        wrong, loss = 0.0, torch.zeros(())
        for position in (end, end + (torch.rand(BATCH) * (LENGTH - end)).long()):
            seen = hidden[torch.arange(BATCH), position]
            for i, head in enumerate(heads):
                logits = head(seen)
                loss = loss + torch.nn.functional.cross_entropy(logits, targets[:, i])
                wrong += float((logits.argmax(1) != targets[:, i]).float().mean()) / (2 * len(ATTRIBUTES))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(
                f"text {step} loss {float(loss.detach()):.4f} wrong {wrong:.4f} {time.monotonic() - start:.0f} s",
                flush=True,
            )
            save(encoder, args.out / "text.pt")


def _with_stranger(text: str, rng: random.Random) -> str:
    """Now and then put a word that means nothing in front or in between, as a trigger word will be."""
    if rng.random() < 0.6:
        return text
    word = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 8)))
    tags = text.split(", ")
    tags.insert(0 if rng.random() < 0.7 else rng.randrange(len(tags) + 1), word)
    return ", ".join(tags)


if __name__ == "__main__":
    main()
