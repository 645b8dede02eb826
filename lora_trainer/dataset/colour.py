"""What colours a picture has: 8-bit sRGB whatever the file holds. One place for training, the bench and the tagger."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

# ICC's names of colour spaces by the mode of Pillow that holds such colours.
SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
RELATIVE_COLORIMETRIC = 1
BLACK_POINT_COMPENSATION = 0x2000  # of lcms2.h; Pillow named it anew in version 10
ROUNDING = 2  # profiles that move no colour by more than this are sRGB under another name
# What Pillow raises on profiles that are damaged or of a kind that it cannot apply, or when it was built without lcms2.
UNUSABLE = (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError)


def as_rgb(image: Image.Image, background: str = "white", *, managed: bool = True) -> Image.Image:
    """The loaded image as 8-bit sRGB, on ``background`` (a colour as CSS writes it) where it is transparent.

    ``managed`` is off for pictures whose numbers are no colours, such as masks: their ICC profile is passed over.
    """
    return on_background(layers(image, managed=managed), background)


def layers(image: Image.Image, *, managed: bool = True) -> Image.Image:
    """The loaded image in 8-bit sRGB, ``"RGBA"`` where it has transparency, else ``"RGB"``.

    It carries nothing of the file's own: saved, it brings along neither a profile nor a rotation that were applied.
    """
    profile = image.info.get("icc_profile") if managed else None
    alpha = image.convert("RGBA").getchannel("A") if has_transparency(image) else None
    colours = _in_srgb(_without_alpha(image), profile)
    if alpha is not None:
        colours.putalpha(alpha)
    colours.info = {}
    return colours


def on_background(picture: Image.Image, background: str) -> Image.Image:
    """What ``layers`` gave, opaque."""
    if picture.mode != "RGBA":
        return picture
    ground = Image.new("RGBA", picture.size, background)
    return Image.alpha_composite(ground, picture).convert("RGB")


def has_transparency(image: Image.Image) -> bool:
    """Whether the image says where it is transparent."""
    if image.mode.startswith("I"):
        return False
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _without_alpha(image: Image.Image) -> Image.Image:
    """The colours alone, in a mode that a profile can speak of."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion clips to white
        grey = np.asarray(image).astype(np.float32) / 257
        return Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    if image.mode in ("L", "LA", "La", "1"):
        return image.convert("LA").getchannel("L") if "A" in image.mode.upper() else image.convert("L")
    if image.mode in ("RGB", "CMYK"):
        return image
    return (image.convert("RGBA") if has_transparency(image) else image).convert("RGB")


def _in_srgb(colours: Image.Image, profile: bytes | None) -> Image.Image:
    """A new RGB picture of the colours, which ``profile`` explains; one that does not fit them is passed over."""
    transform = _transform(profile, colours.mode) if profile else None
    if transform is None:
        return colours.convert("RGB") if colours.mode != "RGB" else colours.copy()
    return transform.apply(colours)


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From the profile to sRGB; None where it cannot be applied to the mode or would change nothing."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != SPACES.get(mode):
            return None
        made = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent(RELATIVE_COLORIMETRIC),
            flags=BLACK_POINT_COMPENSATION,  # type: ignore[arg-type,unused-ignore]  # newer stubs want their own class
        )
    except UNUSABLE:
        return None
    return None if mode != "CMYK" and _changes_nothing(made, mode) else made


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether the transform leaves colours from all over the space as they are, but for rounding."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    probe = Image.fromarray(cube if mode == "RGB" else steps[None])
    moved = np.asarray(transform.apply(probe)).astype(int) - np.asarray(probe.convert("RGB"))
    return bool(np.abs(moved).max() <= ROUNDING)
