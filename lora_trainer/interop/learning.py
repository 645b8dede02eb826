"""Kohya's rules for learning rates, optimizers, schedules and the length of a run."""

from __future__ import annotations

import ast
from typing import Any

from lora_trainer.interop.convert import Unfit, as_number, as_texts
from lora_trainer.interop.reading import Reading
from lora_trainer.settings.training import OPTIMIZERS, SCHEDULERS

DEFAULT_LR, DEFAULT_STEPS = 2e-6, 1600
PAGED = ("bitsandbytes.optim.PagedAdamW", "bitsandbytes.optim.PagedAdamW32bit")
# Kohya's names (in lower case) of optimizers that have another name here.
OPTIMIZER_NAMES = {
    **{name.lower(): name for name in OPTIMIZERS},
    "": "AdamW",
    "dadaptadampreprint": "DAdaptation",
    "pagedadamw": PAGED[0],
    "pagedadamw32bit": PAGED[1],
    "pytorch_optimizer.came": "CAME",
}
DECAYING = ("AdamW", "AdamW8bit", "PagedAdamW8bit", *PAGED)  # whose weight_decay is 0.01 where none is given
SCHEDULER_CLASSES = {"cosineannealinglr": "cosine", "cosineannealingwarmrestarts": "cosine_with_restarts"}


def read_rates(reading: Reading) -> None:
    """``learning_rate`` stands in for a missing ``unet_lr`` or ``text_encoder_lr``; a list of text encoder rates has
    one for each; training only one part sets the other's rate to 0."""
    base = reading.number("learning_rate")
    unet = reading.number("unet_lr")
    encoders = _encoder_rates(reading)
    only_unet, only_text = (reading.switch(f"network_train_{part}_only") for part in ("unet", "text_encoder"))
    key, source = (reading.key("learning_rate"), base) if base is not None else ("", None)
    spare = base if base is not None else (DEFAULT_LR if reading.whole else None)
    if unet is not None:
        reading.take("unet_lr", "unet_lr", 0.0 if only_text else unet)
    elif spare is not None:
        reading.also(key, source, "unet_lr", 0.0 if only_text else spare)
    if encoders and not only_unet:
        encoder_key = reading.key("text_encoder_lr")
        reading.take("text_encoder_lr", "text_encoder_lr", encoders[0])
        reading.also(encoder_key, encoders[-1], "text_encoder_lr2", encoders[-1])
        if len(set(encoders)) > 1:
            reading.differ(encoder_key, list(encoders), "te_rates")
    elif not only_unet and spare is not None:
        reading.also(key, source, "text_encoder_lr", spare)
        reading.also(key, source, "text_encoder_lr2", spare)
    elif only_unet:
        reading.ignore("text_encoder_lr", "unet_only")
    for part, on in (("unet", only_unet), ("text_encoder", only_text)):
        _settle_only(reading, f"network_train_{part}_only", on)
    if unet is not None and (encoders or only_unet):
        reading.ignore("learning_rate", "rate_unused")
    else:
        reading.left.pop("learning_rate", None)  # noted as taken above


def _settle_only(reading: Reading, name: str, on: bool) -> None:
    if name not in reading.left:
        return
    if not on:
        reading.ignore(name, "off")
    elif name == "network_train_unet_only":
        key = reading.key(name)
        reading.take(name, "text_encoder_lr", 0.0)
        reading.also(key, True, "text_encoder_lr2", 0.0)
    else:
        reading.take(name, "unet_lr", 0.0)


def _encoder_rates(reading: Reading) -> tuple[float, ...]:
    value = reading.value("text_encoder_lr")
    if isinstance(value, str) and value.strip().startswith("["):
        value = _literal(value)
    if value is None:
        return ()
    try:
        parts = [part for part in as_texts(value) if part]
        return tuple(as_number(part) for part in parts)[:2]
    except Unfit:
        reading.ignore("text_encoder_lr", "wanted_number")
        return ()


def read_optimizer(reading: Reading) -> None:
    """The optimizer by its own name or the two old flags; ``weight_decay`` is taken out of its arguments."""
    for flag, name in (("use_8bit_adam", "AdamW8bit"), ("use_lion_optimizer", "Lion")):
        if flag in reading.left and reading.switch(flag) and "optimizer_type" not in reading.left:
            reading.take(flag, "optimizer_type", name)
        else:
            reading.ignore(flag, "off")
    if "optimizer_type" in reading.left:
        kind = reading.text("optimizer_type")
        name = OPTIMIZER_NAMES.get(kind.lower()) or (kind if "." in kind else f"torch.optim.{kind}")
        if all(part.isidentifier() for part in name.split(".")):
            reading.take("optimizer_type", "optimizer_type", name)
        else:
            reading.ignore("optimizer_type", "bad_name")
    name = reading.values.get("optimizer_type", "AdamW")
    _optimizer_args(reading, name)
    if reading.whole or "optimizer_type" in reading.values:
        reading.default("weight_decay", 0.01 if name in DECAYING else 0.0)


def _optimizer_args(reading: Reading, optimizer: str) -> None:
    arguments, key = reading.texts("optimizer_args"), reading.key("optimizer_args")
    others = [argument for argument in arguments if argument.partition("=")[0].strip() != "weight_decay"]
    decay = next((argument for argument in arguments if argument not in others), None)
    if others:
        reading.take("optimizer_args", "optimizer_args", others)
    else:
        reading.left.pop("optimizer_args", None)
    if decay:
        reading.also(key, decay, "weight_decay", decay.partition("=")[2].strip())
    if optimizer == "AdaFactor" and not any(a.replace(" ", "") == "relative_step=False" for a in others):
        reading.differ("optimizer_type", optimizer, "adafactor")


def read_schedule(reading: Reading) -> None:
    """The schedule and its warm-up and decay, in steps or as a share."""
    kind = reading.text("lr_scheduler_type").rpartition(".")[2]
    if kind:
        known = "rex" if kind.lower().startswith("rex") else SCHEDULER_CLASSES.get(kind.lower())
        reading.ignore("lr_scheduler", "overridden", by="lr_scheduler_type")
        if known:
            reading.differ("lr_scheduler_type", kind, "scheduler_class", taken=known)
            reading.take("lr_scheduler_type", "lr_scheduler", known)
        else:
            reading.ignore("lr_scheduler_type", "scheduler_unknown")
    name = reading.text("lr_scheduler")
    if name == "adafactor" or name.startswith("adafactor:"):
        reading.differ("lr_scheduler", name, "adafactor_schedule")
        reading.take("lr_scheduler", "lr_scheduler", "constant")
    elif name and name not in SCHEDULERS:
        reading.ignore("lr_scheduler", "scheduler_unknown")
    elif name:
        reading.take("lr_scheduler", "lr_scheduler")
    flat = reading.values.get("lr_scheduler") == "constant"
    if flat and _share(reading.value("lr_warmup_steps")):
        reading.ignore("lr_warmup_steps", "constant_warmup")
    _steps_or_share(reading, "lr_warmup_steps")
    _decay(reading)


def _steps_or_share(reading: Reading, name: str) -> None:
    """Settle a length that is a share of all steps below 1, or ``"10%"``, and a number of steps otherwise."""
    if name not in reading.left:
        return
    value = _share(reading.value(name))
    if value is None or value < 0:
        reading.ignore(name, "wanted_number")
    elif value >= 1:
        reading.also(reading.key(name), reading.value(name), "lr_warmup", 0.0)
        reading.take(name, "lr_warmup_steps", int(value))
    else:
        reading.take(name, "lr_warmup", value)


def _decay(reading: Reading) -> None:
    if "lr_decay_steps" not in reading.left:
        return
    value, steps = _share(reading.value("lr_decay_steps")), reading.number("max_train_steps")
    if value is not None and 0 <= value < 1:
        reading.take("lr_decay_steps", "lr_decay", value)
    elif value and steps and value <= steps and not reading.number("max_train_epochs"):
        reading.take("lr_decay_steps", "lr_decay", value / steps)
    else:
        reading.ignore("lr_decay_steps", "decay_steps")


def read_length(reading: Reading) -> None:
    """Epochs outrank steps; the GUI's ``epoch`` counts only where neither is given; and else 1600 steps it is."""
    epochs, steps = reading.number("max_train_epochs"), reading.number("max_train_steps")
    if not epochs and not steps and reading.number("epoch"):
        reading.take("epoch", "epochs")
    else:
        reading.ignore("epoch", "epoch_unused")
    if epochs:
        reading.ignore("max_train_steps", "steps_unused")
        reading.take("max_train_epochs", "epochs")
    elif steps:
        reading.take("max_train_steps", "max_train_steps")
    elif reading.whole and "epochs" not in reading.values:
        reading.default("max_train_steps", DEFAULT_STEPS)
    ratio = reading.number("save_n_epoch_ratio")
    if ratio and "epochs" in reading.values and "save_every_n_epochs" not in reading.left:
        reading.take("save_n_epoch_ratio", "save_every_n_epochs", max(1, int(reading.values["epochs"] / max(ratio, 1))))
    else:
        reading.ignore("save_n_epoch_ratio", "save_ratio")


def _share(value: Any) -> float | None:
    """A number, or ``"10%"`` as 0.1; None where it is neither."""
    text = str(value).strip() if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
    try:
        return as_number(text.rstrip("%")) / (100 if text.endswith("%") else 1) if text else None
    except Unfit:
        return None


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
