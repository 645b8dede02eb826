"""Train the VAE: ``python -m worlds.sprites.training.vae OUT``."""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import numpy as np
import torch

from worlds.sprites.palette import RGB
from worlds.sprites.scene import CELL, paint, random_scene
from worlds.sprites.training.parts import cosine, make_vae, pass_through, save, silence_residuals

STEPS, BATCH, CROP, LR, SEED = 1500, 4, 8, 1e-3, 1  # CROP in cells


def batch(rng: random.Random) -> torch.Tensor:
    """(4, 3, 64, 64) in -1 ... 1: crops of scenes, in shuffled colours, and a few of random cells."""
    pictures = []
    for _ in range(BATCH):
        cells = paint(random_scene(rng, rng.choice([None, None, "ghost", "robot", "mushroom"])))
        if rng.random() < 0.2:
            cells = np.array([[rng.randrange(len(RGB)) for _ in range(16)] for _ in range(16)])
        cells = np.array(rng.sample(range(len(RGB)), len(RGB)))[cells]
        row, column = rng.randint(0, 16 - CROP), rng.randint(0, 16 - CROP)
        picture = RGB[cells[row : row + CROP, column : column + CROP]]
        pictures.append(picture.repeat(CELL, 0).repeat(CELL, 1).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(pictures)).float() / 127.5 - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    vae = make_vae()
    silence_residuals(vae)
    pass_through(vae)
    with torch.no_grad():
        # Log variances start low, or the sampled latents are all noise and teach nothing for hundreds of steps.
        vae.quant_conv.bias[4:] = -6.0
        vae.quant_conv.weight[4:] = 0.0
    optimizer = torch.optim.AdamW(vae.parameters(), lr=LR, betas=(0.9, 0.99), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: cosine(s, args.steps))
    start, errors = time.monotonic(), []
    for step in range(1, args.steps + 1):
        x = batch(rng)
        posterior = vae.encode(x).latent_dist
        latents = posterior.sample()
        # A little noise on the latents makes the decoder forgive what a diffusion model gets slightly wrong.
        y = vae.decode(latents + 0.05 * latents.detach().std() * torch.randn_like(latents)).sample
        error = (y - x).abs().mean()
        loss = error + 1e-5 * posterior.kl().mean() / latents[0].numel()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        errors.append(float(error.detach()))
        if step % 50 == 0:
            print(f"vae {step} error {np.mean(errors[-50:]):.4f} {time.monotonic() - start:.0f} s", flush=True)
            save(vae, args.out / "vae.pt")


if __name__ == "__main__":
    main()
