"""One picture through the WebUI's own txt2img, and the card beside a LoRA file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from modules import processing, scripts, sd_models, shared
from PIL import Image

from lora_trainer.errors import RunFailed, UserError
from lora_trainer.host import compat
from lora_trainer.host.protocol import ImageRequest
from lora_trainer.host.webui_model import same_file

log = logging.getLogger(__name__)


def draw(request: ImageRequest, checkpoint: str | None) -> Image.Image | None:
    """The picture, drawn on the file ``checkpoint`` (None: on what is selected); None when it was broken off.

    The queue lock must be held. Raises ``RunFailed`` with the WebUI's reason when it could not be drawn.
    """
    p = processing.StableDiffusionProcessingTxt2Img(
        prompt=called(request),
        negative_prompt=request.negative_prompt,
        seed=request.seed,
        steps=request.steps,
        cfg_scale=request.cfg_scale,
        width=request.width,
        height=request.height,
        sampler_name=request.sampler,
        do_not_save_samples=True,
        do_not_save_grid=True,
        override_settings=selected(checkpoint),
    )
    p.scheduler = "Automatic"  # the sampler's own (1.9 and later ask)
    p.is_api = True  # before scripts: otherwise they overwrite seed and sampler with what the page shows
    p.scripts = scripts.ScriptRunner()
    try:
        pictures = processing.process_images(p).images
    except Exception as error:
        log.exception("a picture could not be drawn")
        raise RunFailed("webui_not_drawn", reason=error) from error
    finally:
        p.close()
        shared.total_tqdm.clear()
    if shared.state.skipped or shared.state.interrupted or (not pictures and compat.asked_to_stop()):
        return None
    if not pictures:
        raise RunFailed("webui_not_drawn", reason="no picture came back")
    if request.lora is not None:
        check_applied(request.lora)
    return pictures[0]


def called(request: ImageRequest) -> str:
    """The prompt with the LoRA's call."""
    return request.prompt if request.lora is None else f"{request.prompt} <lora:{request.lora.stem}:{request.weight:g}>"


def selected(checkpoint: str | None) -> dict[str, Any]:
    """The setting that selects the file ``checkpoint`` for one picture; empty where it is selected anyway."""
    if checkpoint is None or sd_models.select_checkpoint().filename == checkpoint:
        return {}
    names = [info.title for info in sd_models.checkpoints_list.values() if info.filename == checkpoint]
    return {"sd_model_checkpoint": names[0]} if names else {}


def check_callable(lora: Path) -> None:
    """Raise ``UserError`` unless a prompt that names the LoRA's stem gets this very file."""
    networks = compat.lora_extension()
    if networks is None:
        raise UserError("webui_lora_extension")
    if not lora.is_file():
        raise UserError("lora_missing", path=lora)
    for refresh in (False, True):
        if refresh:
            networks.list_available_networks()
        if (found := _on_disk(networks, lora.stem)) and same_file(Path(found.filename), lora):
            return
    other = found.filename if found else None
    if other is None:
        raise UserError("webui_lora_elsewhere", name=lora.name, folder=compat.lora_folder())
    raise UserError("webui_lora_hidden", name=lora.stem, path=lora, other=other)


def _on_disk(networks: Any, name: str) -> Any | None:
    """The file that a prompt's ``name`` means, found as the Lora extension finds it."""
    if name.lower() in networks.forbidden_network_aliases:
        return networks.available_networks.get(name)
    return networks.available_network_aliases.get(name)


def check_applied(lora: Path) -> None:
    """Raise ``RunFailed`` when the WebUI drew without the LoRA: it only prints when it cannot read one."""
    networks = compat.lora_extension()
    if networks is None or all(network.name != lora.stem for network in networks.loaded_networks):
        raise RunFailed("webui_lora_ignored", name=lora.name)
