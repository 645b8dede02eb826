"""Settings of the images and of their captions."""

from __future__ import annotations

from dataclasses import dataclass

from lora_trainer.settings.field import Group, coloured, limited, shown

BUCKETS = {"enable_bucket": [True]}


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSettings(Group):
    """The images and how they are shown to the model."""

    images: str = ""
    """Folder of images, flat or with kohya's `N_name class` sub-folders."""
    trigger: str = ""
    """Made-up word that calls the concept; it starts every caption."""
    resolution: int = shown(limited(512, low=64, high=2048, basic=True), unit="px")
    """Side in pixels of a square image with as many pixels as training images get."""
    repeats: int = limited(10, low=1, high=1000, basic=True)
    """How often each image is seen in an epoch; a folder name like `20_name` has its own number."""
    batch_size: int = shown(limited(1, low=1, high=64, basic=True), unit="images")
    """Images in one step. More need more memory; with about 20 images stay at 4 or below."""
    enable_bucket: bool = True
    """Keep aspect ratios: sort images into buckets of similar shape instead of cropping all to a square."""
    min_bucket_reso: int = shown(limited(256, low=64, high=2048), unit="px", needs=BUCKETS)
    """Shortest side in pixels that a bucket may have."""
    max_bucket_reso: int = shown(limited(1024, low=64, high=4096), unit="px", needs=BUCKETS)
    """Longest side in pixels that a bucket may have."""
    bucket_reso_steps: int = shown(limited(64, low=8, high=256), unit="px", needs=BUCKETS)
    """Bucket sides are multiples of this many pixels."""
    bucket_no_upscale: bool = shown(False, needs=BUCKETS)
    """Never enlarge an image that is smaller than its bucket would be; it gets a smaller bucket instead."""
    flip_aug: bool = False
    """Mirror every image half of the time; leave it off where left and right differ, as with text or a scar."""
    alpha_mask: bool = False
    """Learn only where the image is opaque: its transparency is the mask."""
    background: str = coloured("white", ("white", "black", "gray"))
    """Colour behind the transparent parts of images: a name or `#rrggbb`."""
    mask_dir: str = ""
    """Folder of masks named like the images: learn where a mask is white; without it, everywhere."""
    reg_data_dir: str = ""
    """Folder of regularisation images of the class, in kohya's layout, which keep the model from forgetting it."""
    validation_split: float = limited(0.1, low=0.0, high=0.5)
    """Share of the images held out to measure, not to learn from; 0 holds out none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionSettings(Group):
    """What is made of the captions before the model reads them."""

    caption_extension: str = ".txt"
    """Ending of the files beside the images that hold their captions."""
    class_tokens: str = ""
    """Words that caption an image without a caption of its own, after the trigger word."""
    caption_prefix: str = ""
    """Text before every caption, after the trigger word."""
    caption_suffix: str = ""
    """Text after every caption."""
    shuffle_caption: bool = False
    """Put the tags of a caption into another order each time, so that none counts more for standing first."""
    keep_tokens: int = shown(limited(1, low=0, high=255), unit="tags")
    """The first tags that keep their place and are never dropped; the trigger word is the first."""
    keep_tokens_separator: str = ""
    """Mark within captions, such as `|||`: what stands before it keeps its place, and so does what follows a second."""
    caption_dropout_rate: float = limited(0.0, low=0.0, high=1.0)
    """How often an image is shown without any caption; about 0.05 keeps the concept working without its trigger."""
    caption_dropout_every_n_epochs: int = shown(limited(0, low=0, high=1000), unit="epochs")
    """Every so many epochs all images are shown without captions; 0 means never."""
    caption_tag_dropout_rate: float = limited(0.0, low=0.0, high=1.0)
    """How often each single tag is left out, apart from those that keep their place."""
    caption_variants: int = limited(8, low=1, high=64)
    """Shuffled or shortened versions of a caption that are made and cached; each step takes one of them."""
    weighted_captions: bool = False
    """Read `(tag:1.2)` in captions as a stronger and `[tag]` as a weaker tag; otherwise brackets are plain text."""
    max_token_length: int = shown(limited(75, choices=(75, 150, 225)), unit="tokens")
    """Tokens of a caption that are read; what is longer is cut off."""
    clip_skip: int = shown(limited(1, low=1, high=12), unit="layers", needs={"family": ["SD1", "SD2"]})
    """Take the text encoder's output this many layers before its end: 1 is its end, anime models often want 2."""
