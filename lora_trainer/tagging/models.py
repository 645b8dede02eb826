"""The models that are known by name: where they come from, how big they are, how their files are recognised.

Revisions are the hub's commits. Sizes are in bytes; where only the hub's listing is known, which rounds to megabytes or
kilobytes, ``rounding`` says by how much. A SHA-256 stands here only where at least two places publish the same one; for
the others a download is checked against the hash that the hub itself names its file by. The thresholds are those of the
model cards, where precision equals recall on the validation images.
"""

from __future__ import annotations

from dataclasses import dataclass

from lora_trainer.tagging.tagger import BadTagger

WEIGHTS, TAG_LIST = "model.onnx", "selected_tags.csv"
MB, KB = 1_000_000, 1_000


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a model: ``size`` is within ``rounding`` bytes of the true one; ``sha256`` is empty where unknown."""

    name: str
    size: int
    sha256: str = ""
    rounding: int = 0

    def fits(self, size: int) -> bool:
        """Whether a file of ``size`` bytes can be this one."""
        return size > 0 and (self.size == 0 or abs(size - self.size) <= self.rounding)


@dataclass(frozen=True, slots=True)
class Model:
    """A model on the hub, and the probability from which its general tags count."""

    name: str
    revision: str
    files: tuple[RemoteFile, ...]
    threshold: float = 0.35
    owner: str = "SmilingWolf"

    @property
    def repo(self) -> str:
        """Its name on the hub."""
        return f"{self.owner}/{self.name}"

    @property
    def size(self) -> int:
        """Bytes to download, about."""
        return sum(file.size for file in self.files)


TAGS_V1 = RemoteFile(TAG_LIST, 174 * KB, rounding=KB)
TAGS_V2 = RemoteFile(TAG_LIST, 253_906, "8c8750600db36233a1b274ac88bd46289e588b338218c2e4c62bbc9f2b516368")
TAGS_V3 = RemoteFile(TAG_LIST, 308_468, "298633d94d0031d2081c0893f29c82eab7f0df00b08483ba8f29d1e979441217")


# Newest first; the first is a good choice on any computer.
WD14 = (
    Model(
        "wd-swinv2-tagger-v3",
        "627aef95638667ddcaa3ac8ae625e88ea5b02f51",
        (TAGS_V3, RemoteFile(WEIGHTS, 467_460_978, "e6774bff34d43bd49f75a47db4ef217dce701c9847b546523eb85ff6dbba1db1")),
        0.2653,
    ),
    Model(
        "wd-eva02-large-tagger-v3",
        "b25b82a03f7282e41aa2f257a52c7583b710bd1c",
        (
            TAGS_V3,
            RemoteFile(WEIGHTS, 1_260_435_999, "9e768793060c7939b277ccb382783e8670e8a042d29d77aa736be0c8cc898bfc"),
        ),
        0.5296,
    ),
    Model(
        "wd-vit-large-tagger-v3",
        "ae469aa2e4706a3af08d3673cf73a11d1add314c",
        (
            TAGS_V3,
            RemoteFile(WEIGHTS, 1_260_645_673, "e4c8001b000a6c98f2db10794f7c406daa79873d071d6ca924330fa053fa1845"),
        ),
        0.2606,
    ),
    Model(
        "wd-vit-tagger-v3",
        "7f6b584d0bd3f55c4531f14ba3d4761b2bccdc0f",
        (TAGS_V3, RemoteFile(WEIGHTS, 378_536_310, "35f23693620b668f4d53fd3c62bf65e40af739bc52c7eb0fbc49258b58d065b6")),
        0.2614,
    ),
    Model(
        "wd-convnext-tagger-v3",
        "d39e46de298d27340111b64965e20b8185c407e6",
        (TAGS_V3, RemoteFile(WEIGHTS, 394_990_732, "1b8a7abf13d9b8368267df47501d523789c4aeae66b2296ad98483239dfa32eb")),
        0.2682,
    ),
    Model(
        "wd-v1-4-moat-tagger-v2",
        "8452cddf280b952281b6e102411c50e981cb2908",
        (TAGS_V2, RemoteFile(WEIGHTS, 326_197_340, "b8cef913be4c9e8d93f9f903e74271416502ce0b4b04df0ff1e2f00df488aa03")),
        0.3771,
    ),
    Model(
        "wd-v1-4-swinv2-tagger-v2",
        "cdb0c7fdc70646f0af29c6f80f8df564344a69b6",
        (
            TAGS_V2,
            RemoteFile(
                WEIGHTS, 455 * MB, "04ec04fdf7db74b4fed7f4b52f52e04dec4dbad9e4d88d2d178f334079a29fde", rounding=MB
            ),
        ),
        0.3771,
    ),
    Model(
        "wd-v1-4-convnextv2-tagger-v2",
        "dbd4dbe553ee51feb3bc745b614fb762080e3912",
        (
            TAGS_V2,
            RemoteFile(
                WEIGHTS, 388 * MB, "e91daa19cd9e8725125b7d70702d1560855fb687f8d8c4218eddaa821f41834a", rounding=MB
            ),
        ),
        0.371,
    ),
    Model(
        "wd-v1-4-convnext-tagger-v2",
        "4b34d1b07bdd8e95494072648960b8a6adcbc0ff",
        (TAGS_V2, RemoteFile(WEIGHTS, 387_820_405, "71f06ecb7b9df81d8f271da4d43997ea2ed363cdac29aa64fcb256c9631e656a")),
        0.3685,
    ),
    Model(
        "wd-v1-4-vit-tagger-v2",
        "1f3f3e8ae769634e31e1ef696df11ec37493e4f2",
        (
            TAGS_V2,
            RemoteFile(
                WEIGHTS, 373 * MB, "8a21cadd1f88a095094cafbffe3028c3cc3d97f4d58c54344c5994bcf48e24ac", rounding=MB
            ),
        ),
        0.3537,
    ),
    # The first generation, whose cards tell no threshold: these have the one of the author's demonstration.
    Model(
        "wd-v1-4-convnext-tagger",
        "4036ca51f1c082b0e7c4496890bbf9eadad5764a",
        (TAGS_V1, RemoteFile(WEIGHTS, 377 * MB, rounding=MB)),
        0.35,
    ),
    Model(
        "wd-v1-4-vit-tagger",
        "213a7bd66d93407911b8217e806a95edc3593eed",
        (TAGS_V1, RemoteFile(WEIGHTS, 365 * MB, rounding=MB)),
        0.35,
    ),
)


def wd14(name: str) -> Model:
    """The WD14 model ``name``, in the hub's words, with or without its owner. Raises ``BadTagger``."""
    found = {model.name: model for model in WD14}.get(name.rpartition("/")[2])
    if found is None:
        raise BadTagger("tagger_unknown", field="tagger", name=name, known=", ".join(model.name for model in WD14))
    return found
