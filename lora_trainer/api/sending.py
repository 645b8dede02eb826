"""The grid of a run as an infotext, for the WebUI's own X/Y/Z plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lora_trainer.api.watch import View
from lora_trainer.errors import BadSettings
from lora_trainer.events import Validated

if TYPE_CHECKING:
    from lora_trainer.host.protocol import Host


def grid_infotext(view: View, host: Host, extras: Mapping[str, object]) -> str:
    """The infotext that draws the run's grid anew, for its first prompt. Raises ``BadSettings``."""
    # Imported here: these stand on PyTorch, which a page that only looks on does not need.
    from lora_trainer.checkpoint.family import SD1
    from lora_trainer.comparison import Comparison, plan_for
    from lora_trainer.picking.files import EpochFile
    from lora_trainer.picking.infotext import infotext

    status, settings = view.status, view.settings
    if settings is None or not status.files:
        raise BadSettings("grid_empty", field="grid_epochs", name="grid_epochs")
    drawn = dict.fromkeys(prompt for _, _, prompt, *_ in status.previews)
    comparison = Comparison(
        run=view.run,
        settings=settings,
        host=host,
        epochs=tuple(EpochFile(epoch, Path(path)) for epoch, path in status.files),
        curve=tuple(
            Validated(epoch=epoch, held_out=held_out, train=train) for epoch, held_out, train in status.validated
        ),
        prompts=settings.samples.sample_prompts or tuple(drawn) or (settings.data.trigger,),
        family=SD1,  # the plan does not depend on it
    )
    return infotext(plan_for(comparison), extras=extras)
