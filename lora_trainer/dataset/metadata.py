"""What a LoRA file tells of its images, in the shape of kohya's ``ss_`` metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lora_trainer.dataset.captions import tags
from lora_trainer.dataset.examples import Example
from lora_trainer.dataset.scan import Item


def tag_frequency(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """How many images of each group have each tag, lower-cased (kohya's ``ss_tag_frequency``).

    Regularisation images are left out: their tags are not what the LoRA was taught.
    """
    counts: dict[str, Counter[str]] = {}
    for item in items:
        if not item.is_reg:
            counts.setdefault(item.group, Counter()).update(tag.lower() for tag in tags(item.caption))
    return {group: dict(counter) for group, counter in counts.items()}


def dataset_dirs(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Repeats and number of images of each group of training images (kohya's ``ss_dataset_dirs``)."""
    return _dirs([item for item in items if not item.is_reg])


def reg_dataset_dirs(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """The same of the regularisation images (kohya's ``ss_reg_dataset_dirs``)."""
    return _dirs([item for item in items if item.is_reg])


def bucket_info(examples: Sequence[Example]) -> dict[str, Any]:
    """The buckets in order, each with its size and its images in an epoch, and by how much the images' aspect ratios
    differ from their buckets' on average (kohya's ``ss_bucket_info``)."""
    counts: Counter[tuple[int, int]] = Counter()
    for example in examples:
        counts[example.bucket] += example.item.repeats
    errors = [abs(one.bucket[0] / one.bucket[1] - one.item.width / one.item.height) for one in examples]
    buckets = {
        str(number): {"resolution": list(size), "count": count}
        for number, (size, count) in enumerate(sorted(counts.items()))
    }
    return {"buckets": buckets, "mean_img_ar_error": sum(errors) / max(1, len(errors))}


def _dirs(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    images = Counter(item.group for item in items)
    repeats = {item.group: item.folder_repeats for item in items}
    return {group: {"n_repeats": repeats[group], "img_count": count} for group, count in images.items()}
