"""Train the U-Net on encoded scenes, the text encoder and the VAE frozen: ``python -m worlds.sprites.training.unet
OUT``."""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler

from lora_trainer.checkpoint.tokenizer import clip_tokenizer
from worlds.sprites.scene import Scene, caption, random_scene, render
from worlds.sprites.training.parts import (
    TagTokens,
    cosine,
    make_text_encoder,
    make_unet,
    make_vae,
    save,
    silence_residuals,
)

STEPS, BATCH, LR, SEED = 1900, 24, 1e-3, 3
SCENES = 4000
HEAVIEST = 30.0
LEFT_OUT = 0.2  # of the tags: what a LoRA is taught with leaves the figure out
AVERAGED = 10  # the weights are averaged every so many steps
# Flat pictures leak their mean colour through the last timesteps of SD's schedule (terminal alpha-bar 0.0047), and the
# model then reads the colour from the noise instead of the prompt. Latents at half of unit deviation and noise with an
# offset hide it.
LATENT_STD = 0.5
NOISE_OFFSET = 0.1
# Group norms hide how strong the noise is: where a seed's noise is 4 % stronger than unit deviation, as one in six is,
# the model left those 4 % in the picture, cell by cell. Noise of varied strength teaches it to take all of it away.
NOISE_SPREAD = 0.1


def scheduler() -> DDPMScheduler:
    """Stable Diffusion 1's noise schedule."""
    return DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)


def encoded_scenes(out: Path, count: int) -> tuple[list[Scene], torch.Tensor]:
    """``count`` scenes and their unscaled latents (count, 4, 16, 16); encoded once, then read back."""
    rng = random.Random(SEED)
    scenes = [random_scene(rng) for _ in range(count)]
    cache = out / f"latents-{count}.pt"
    if not cache.is_file():
        vae = make_vae()
        vae.load_state_dict(torch.load(out / "vae.pt"))
        latents, start = [], time.monotonic()
        for first in range(0, count, 16):
            pixels = np.stack([np.asarray(render(scene)) for scene in scenes[first : first + 16]])
            x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
            with torch.no_grad():
                latents.append(vae.encode(x.contiguous(memory_format=torch.channels_last)).latent_dist.mean)
        torch.save(torch.cat(latents).contiguous(), cache)
        print(f"encoded {count} scenes in {time.monotonic() - start:.0f} s", flush=True)
    return scenes, torch.load(cache)


def timesteps(count: int, generator: torch.Generator) -> torch.Tensor:
    """(count,) timesteps of 0 ... 999, leaning a little towards noise, where the prompt decides what there is."""
    u = torch.rand(count, generator=generator)
    return (1000 * u ** (1 / 1.15)).long().clamp_(max=999)


def loss_weights(alphas_cumprod: torch.Tensor, heaviest: float) -> torch.Tensor:
    """(1000,) weights of the timesteps: those of v-prediction (arXiv 2202.00512), 1 + 1 / SNR, up to ``heaviest``.

    In the plain loss, what the prompt alone decides, in deep noise, counts for next to nothing and is learnt last.
    """
    snr = LATENT_STD**2 * alphas_cumprod / (1 - alphas_cumprod)
    return (1 + 1 / snr).clamp(max=heaviest)


def varied_noise(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """(N, C, h, w) noise whose mean and strength differ from picture to picture and from channel to channel."""
    strength, offset = torch.randn((2, *shape[:2], 1, 1), generator=generator)
    return torch.randn(shape, generator=generator) * (1 + NOISE_SPREAD * strength) + NOISE_OFFSET * offset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--lr", type=float, default=LR)
    parser.add_argument("--heaviest", type=float, default=HEAVIEST, help="limit of the timesteps' loss weights")
    parser.add_argument("--start", type=Path, help="weights to begin with instead of random ones")
    args = parser.parse_args()
    torch.manual_seed(SEED)
    rng, generator = random.Random(SEED), torch.Generator().manual_seed(SEED)
    scenes, latents = encoded_scenes(args.out, args.scenes)
    factor = LATENT_STD / float(latents.std())
    (args.out / "scale_factor.txt").write_text(f"{factor:.6f}\n", encoding="utf-8")
    tokenize = TagTokens(clip_tokenizer(args.out / "clip"))
    encoder = make_text_encoder()
    encoder.load_state_dict(torch.load(args.out / "text.pt"))
    unet = make_unet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    silence_residuals(unet)
    if args.start:
        unet.load_state_dict(torch.load(args.start))
    average = torch.optim.swa_utils.AveragedModel(unet, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.985))
    noise_schedule = scheduler()
    weights = loss_weights(noise_schedule.alphas_cumprod, args.heaviest)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: cosine(s, args.steps, warmup=100))
    start, losses = time.monotonic(), []
    for step in range(1, args.steps + 1):
        chosen = [rng.randrange(len(scenes)) for _ in range(BATCH)]
        texts = ["" if rng.random() < 0.1 else caption(scenes[i], rng, LEFT_OUT) for i in chosen]
        with torch.no_grad():
            context = encoder(tokenize(texts)).last_hidden_state
        x = latents[chosen] * factor
        noise = varied_noise(x.shape, generator)
        t = timesteps(BATCH, generator)
        noised = noise_schedule.add_noise(x, noise, t).contiguous(memory_format=torch.channels_last)
        errors = (unet(noised, t, encoder_hidden_states=context).sample - noise).square().mean(dim=(1, 2, 3))
        loss = (errors * weights[t]).mean() / weights.mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % AVERAGED == 0:
            average.update_parameters(unet)
        losses.append(float(loss.detach()))
        if step % 100 == 0:
            print(f"unet {step} loss {np.mean(losses[-100:]):.4f} {time.monotonic() - start:.0f} s", flush=True)
            save(average.module, args.out / "unet.pt")


if __name__ == "__main__":
    main()
