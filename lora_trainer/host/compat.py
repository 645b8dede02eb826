"""What differs between WebUIs and their versions, told by capability; written against AUTOMATIC1111 1.10.1."""

from __future__ import annotations

import logging
import secrets
import sys
from pathlib import Path
from typing import Any

from modules import devices, infotext_utils, paths, processing, shared

from lora_trainer.language import Chinese, English

log = logging.getLogger(__name__)

# Fields of an infotext that the WebUI sets to their first defaults when a text that is sent to txt2img lacks them.
IMPLIED = (
    "Clip skip",
    "Emphasis",
    "FP8 weight",
    "RNG",
    "Refiner switch by sampling steps",
    "Schedule max sigma",
    "Schedule min sigma",
    "Schedule rho",
    "VAE Decoder",
    "VAE Encoder",
)


def is_forge() -> bool:
    """Whether this is Forge or a relative, which holds its weights in another way."""
    return "modules_forge" in sys.modules or "ldm_patched" in sys.modules


def lora_extension() -> Any | None:
    """The built-in Lora extension's module, or None where it is switched off (kohya's is called ``networks`` too)."""
    module = sys.modules.get("networks")
    return module if hasattr(module, "network_apply_weights") else None


def lora_folder() -> Path:
    """Where LoRAs are looked for; the setting exists only with the Lora extension."""
    return Path(getattr(shared.cmd_opts, "lora_dir", None) or Path(paths.models_path) / "Lora").absolute()


def in_fp8() -> bool:
    """Whether weights are kept in 8 bits (1.8 and later)."""
    return bool(getattr(devices, "fp8", False))


def asked_to_stop() -> bool:
    """Whether a stop button was pressed: at once, or after the picture at hand (1.10 and later)."""
    return bool(shared.state.interrupted or getattr(shared.state, "stopping_generation", False))


def page_closes() -> bool:
    """Whether the page's server was told to end."""
    return bool(getattr(getattr(shared.demo, "server", None), "should_exit", False))


def localization() -> str:
    """The localization that the user chose: ``zh_CN``, ``None`` …"""
    return str(getattr(shared.opts, "localization", "None"))


def language() -> str:
    """The language of the progress bar and the messages at the start."""
    return Chinese if localization().lower().startswith("zh") else English


def has_login() -> bool:
    """Whether the page asks who you are; without the page (``--nowebui``) nobody is asked."""
    named = any(getattr(shared.cmd_opts, name, None) for name in ("gradio_auth", "gradio_auth_path"))
    return named and not getattr(shared.cmd_opts, "nowebui", False)


def listens() -> bool:
    """Whether other computers can reach the WebUI: ``--listen``, ``--share``, a name or a tunnel."""
    names = ("webui_is_non_local", "listen", "share", "ngrok", "server_name")
    return any(getattr(shared.cmd_opts, name, None) for name in names)


def has_api_password() -> bool:
    """Whether the WebUI's API asks for a password (``--api-auth``)."""
    return bool(getattr(shared.cmd_opts, "api_auth", None))


def is_api_user(user: str, password: str) -> bool:
    """Whether the WebUI's API lets them in, as it reads ``--api-auth``: ``user:password,user:password``."""
    pairs = (pair.split(":", 1) for pair in str(shared.cmd_opts.api_auth).split(",") if ":" in pair)
    known = dict(pairs).get(user)
    return known is not None and secrets.compare_digest(known.encode(), password.encode())


def add_option(name: str, default: str, label: str, section: tuple[str, str], **more: Any) -> None:
    """Add a setting, a text or with ``choices`` one of them. ``restricted``: the WebUI's API may not set it."""
    shown: dict[str, Any] = {}
    if "choices" in more:
        shown = {"component": sys.modules["gradio"].Radio, "component_args": {"choices": list(more["choices"])}}
    info = shared.OptionInfo(default, label, section=section, **shown)
    info.restrict_api, info.category_id = more.get("restricted", False), "training"
    shared.opts.add_option(name, info)


def forget_conditions() -> None:
    """Empty the cache of encoded prompts: it knows a LoRA by name and weight, and takes a new file for the old."""
    for kind in (processing.StableDiffusionProcessing, processing.StableDiffusionProcessingTxt2Img):
        for name in ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc"):
            cache = getattr(kind, name, None)
            if cache:
                cache[:] = [None] * len(cache)


def infotext_fields() -> dict[str, object]:
    """The user's own values of the fields that an infotext has to name to leave them alone."""
    labels = {info.infotext: name for name, info in shared.opts.data_labels.items() if getattr(info, "infotext", None)}
    return {label: getattr(shared.opts, labels[label]) for label in IMPLIED if label in labels}


def connect_paste(button: Any, box: Any) -> None:
    """Have ``button`` send the infotext in ``box`` to txt2img. Only while the page is built."""
    infotext_utils.register_paste_params_button(
        infotext_utils.ParamBinding(paste_button=button, tabname="txt2img", source_text_component=box)
    )


def interrogators() -> dict[str, Any]:
    """The models of picobyte's or toriato's tagger extension, by name; none where it is not there."""
    module = sys.modules.get("tagger.utils")
    if module is not None and not getattr(module, "interrogators", None) and "tagger.uiset" not in sys.modules:
        try:  # toriato's list is empty before; picobyte's, which has uiset, is not
            module.refresh_interrogators()
        except Exception:  # in this WebUI it fails over an option, after it has made the list
            log.warning("the tagger extension could not look for all of its models", exc_info=True)
    return dict(getattr(module, "interrogators", None) or {})


def face_folders() -> tuple[Path, ...]:
    """Where face restoration keeps what it finds faces with, and where somebody may put a detector of their own."""
    restorers = (getattr(shared.cmd_opts, f"{name.lower()}_models_path", None) for name in ("GFPGAN", "Codeformer"))
    usual = [Path(paths.models_path) / name for name in ("GFPGAN", "Codeformer", "facedetection")]
    return tuple(dict.fromkeys(path.absolute() for path in [*(Path(one) for one in restorers if one), *usual]))


def tagger_caches() -> tuple[Path, ...]:
    """Where the tagger extension keeps what it downloaded: hub caches."""
    chosen = getattr(shared.opts, "tagger_hf_cache_dir", None)
    usual = Path(paths.models_path) / "interrogators"
    return tuple(dict.fromkeys([*([Path(chosen).absolute()] if chosen else []), usual.absolute()]))
