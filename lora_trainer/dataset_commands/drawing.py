"""``dataset regularise|draft``: pictures that the base model, or a draft LoRA on it, draws into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_trainer.commandline import add_settings, settings_of
from lora_trainer.dataset_commands.command import DatasetCommand, Results, Say, perform

if TYPE_CHECKING:
    from lora_trainer.dataset.bench.drawing import DrawingPlan
    from lora_trainer.project.tasks import TaskControl

DRAWN = ("resolution", "negative_prompt", "sample_steps", "cfg_scale", "sample_width", "sample_height")


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--prompt", required=True, help="what to draw, such as the class of what is learnt")
    command.add_argument("--count", type=int, required=True, help="how many pictures there are to be in the end")
    command.add_argument("--seed", type=int, default=1, help="seed of the first; the others count up (default: 1)")
    command.add_argument("--words", default="", help="name of the pictures' folder; without it, the prompt")
    command.add_argument("--repeats", type=int, default=1, help="repeats of the pictures' folder (default: 1)")
    command.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="base model; Sprites, the shipped one, without it"
    )
    add_settings(command, DRAWN)


def _draft_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--lora", type=Path, required=True, metavar="FILE", help="LoRA file to draw with")
    command.add_argument("--weight", type=float, default=1.0, help="its weight (default: 1)")
    _options(command)


def _draw(options: argparse.Namespace, language: str, say: Say) -> Results:
    """Draw what the folder lacks; called again, it goes on."""
    from lora_trainer.dataset.bench.drawing import draw_images
    from lora_trainer.dataset_commands.folder import folder_of
    from lora_trainer.demo import CHECKPOINT
    from lora_trainer.host.standalone import StandaloneHost
    from lora_trainer.project.importing import told
    from lora_trainer.project.words import Words

    project, plan = folder_of(options), _plan(options)
    host = StandaloneHost(options.home, options.checkpoint or CHECKPOINT)

    def work(control: TaskControl) -> dict[str, Any]:
        made = told(draw_images(host, project.images_folder, plan, control.stop), control)
        control.end(Words("dataset.drawn", {"count": len(made.images), "known": made.known}))
        return {"images": len(made.images), "known": made.known, "folder": str(project.images_folder / plan.subset)}

    return perform(project, "draw", work, language, say)


def _plan(options: argparse.Namespace) -> DrawingPlan:
    """What is asked for. Raises ``BadSettings``."""
    from lora_trainer.dataset.bench.drawing import DrawingPlan
    from lora_trainer.host.protocol import ImageRequest

    settings = settings_of(options)
    samples, side = settings.samples, settings.data.resolution // 8 * 8
    request = ImageRequest(
        prompt=options.prompt,
        negative_prompt=samples.negative_prompt,
        seed=options.seed,
        steps=samples.sample_steps,
        cfg_scale=samples.cfg_scale,
        width=samples.sample_width or side,
        height=samples.sample_height or side,
        lora=getattr(options, "lora", None),
        weight=getattr(options, "weight", 1.0),
    )
    return DrawingPlan(request=request, count=options.count, words=options.words, repeats=options.repeats)


INTO = "folder that the pictures go to, in an N_name sub-folder"
COMMANDS = (
    DatasetCommand("regularise", "draw regularisation images of a class with the base model", _options, _draw, INTO),
    DatasetCommand("draft", "draw pictures with a draft LoRA, to import the good ones", _draft_options, _draw, INTO),
)
