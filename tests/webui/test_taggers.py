"""The real taggers of a WebUI: deepbooru's own module, and the tagger extension in the forms that are at hand.

``WD14_TAGGERS=FOLDER[:FOLDER…] pytest tests/webui/test_taggers.py --webui FOLDER``: the folders hold the extension as
toriato and as picobyte wrote it. A WebUI is started with each in turn, since both call their package ``tagger``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.tagging.onnx_models import CHARACTERS, RATINGS, TAGS, expected, weights, write_model, write_tags
from tests.webui.driver import PATIENCE_S, Start, WebUI, furnish, launch, link

pytestmark = [pytest.mark.webui, pytest.mark.slow]

FORMS = [Path(name) for name in os.environ.get("WD14_TAGGERS", "").split(os.pathsep) if name]
SIDE = 64
REPOSITORY = "SmilingWolf/wd-v1-4-vit-tagger-v2"
NAMES = ("wd14-vit-v2", "wd14-vit.v2")  # what each form calls that model
MATRIX = weights(SIDE, len(RATINGS + TAGS + CHARACTERS))
COMMIT = "c" * 40

# A file with deepbooru's own shapes that is small: every output of a layer has one number for all of its weights.
DEEPBOORU = """
import torch
from pathlib import Path
from modules import deepbooru_model, paths
torch.manual_seed(1)
net = deepbooru_model.DeepDanbooruModel()
state = {}
for name, tensor in net.state_dict().items():
    width = tensor[0].numel() if tensor.dim() > 1 else 1
    few = torch.randn(tensor.shape[0], *[1] * (tensor.dim() - 1)) / width
    state[name] = few.expand(tensor.shape)
count = net.n_Conv_178.weight.shape[0]
state["tags"] = [f"tag_({n})" for n in range(count - 3)] + ["rating:safe", "rating:questionable", "rating:explicit"]
file = Path(paths.models_path) / "torch_deepdanbooru" / "model-resnet_custom_v3.pt"
file.parent.mkdir(parents=True, exist_ok=True)
torch.save(state, file)
out = [file.stat().st_size, count]
"""
# What the WebUI's own module says of the picture, with every setting that would change it out of the way.
THEIRS = """
from PIL import Image
from modules import deepbooru, shared
wanted = {"interrogate_deepbooru_score_threshold": 0, "deepbooru_use_spaces": False, "deepbooru_escape": False,
          "deepbooru_filter_tags": "", "interrogate_return_ranks": True}
before = {name: getattr(shared.opts, name) for name in wanted}
for name, value in wanted.items():
    setattr(shared.opts, name, value)
try:
    out = deepbooru.model.tag(Image.open(PICTURE))
finally:
    for name, value in before.items():
        setattr(shared.opts, name, value)
"""
OURS = """
from PIL import Image
tagger = next(one for one in host.taggers() if one.name in NAMES)
first, second = tagger.tag([Image.open(PICTURE), Image.open(PICTURE).rotate(90)])
out = {"name": tagger.name, "general": first.general, "ratings": first.ratings, "turned": second.general}
"""


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colours that differ from place to place, in the models' own size."""
    file = tmp_path_factory.mktemp("set") / "a.png"
    cells = np.random.default_rng(3).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(cells).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(file)
    return file


@pytest.fixture(scope="module", params=FORMS or [None], ids=lambda form: form.name if form else "plain")
def tagging(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    """A WebUI with one form of the extension, or without, and with models where they are looked for."""
    wanted = request.config.getoption("--webui", default=None)
    if not wanted or wanted.startswith("http"):
        pytest.skip("no folder of a WebUI is given")
    data, folder = tmp_path_factory.mktemp("webui"), Path(wanted).resolve()
    furnish(data, folder, request.config.getoption("--webui-checkpoint"))
    for cache in (data / "hub", data / "hub" / "hub"):  # the extension's own, and the hub's usual one below HF_HOME
        _keep_model(cache)
    if request.param:
        link(request.param.resolve(), data / "extensions" / request.param.name)
    options = [request.config.getoption(f"--webui-{name}") for name in ("python", "args", "without")]
    started, process = launch(Start(folder, *options, {"HF_HOME": str(data / "hub")}), data)
    yield started
    process.terminate()
    process.wait(60)


def _keep_model(cache: Path) -> None:
    """A small model under a real one's name, as the hub's library keeps what it has downloaded."""
    repository = cache / f"models--{REPOSITORY.replace('/', '--')}"
    place = repository / "snapshots" / COMMIT
    write_tags(place / "selected_tags.csv")
    write_model(place / "model.onnx", MATRIX, SIDE)
    (repository / "refs").mkdir()
    for name in ("main", "v2.0"):
        (repository / "refs" / name).write_text(COMMIT, encoding="utf-8")


@pytest.fixture(scope="module")
def deepbooru(tagging: WebUI) -> WebUI:
    """The same with a model for deepbooru."""
    size, count = tagging.probe(DEEPBOORU)
    print(f"deepbooru's model: {count} tags in a file of {size / 1e6:.1f} MB")
    return tagging


def ours(webui: WebUI, picture: Path, *names: str) -> dict[str, Any]:
    """What our tagger of one of these names says of the picture."""
    found: dict[str, Any] = webui.probe(f"PICTURE, NAMES = {str(picture)!r}, {names!r}\n{OURS}")
    return found


def test_deepbooru_says_what_the_webui_says(deepbooru: WebUI, picture: Path) -> None:
    found = ours(deepbooru, picture, "deepbooru")
    text = deepbooru.probe(f"PICTURE = {str(picture)!r}\n{THEIRS}")
    theirs = {tag: float(value) for tag, value in re.findall(r"\((.+?):([0-9.]+)\)(?:, |$)", text)}
    assert len(theirs) == len(found["general"]) > 9000
    assert max(abs(found["general"][tag] - value) for tag, value in theirs.items()) <= 6e-4
    assert set(found["ratings"]) == {"safe", "questionable", "explicit"}
    assert max(found["general"].values()) - min(found["general"].values()) > 0.1, "the model tells tags apart"


def test_the_extension_tells_its_models_probabilities(
    tagging: WebUI, picture: Path, request: pytest.FixtureRequest
) -> None:
    if not FORMS:
        pytest.skip("no WD14_TAGGERS are given")
    found = ours(tagging, picture, *NAMES)
    pixels = np.asarray(Image.open(picture), np.float32)[None, ..., ::-1]
    (row,) = expected(np.ascontiguousarray(pixels), MATRIX)
    wanted = dict(zip((*RATINGS, *TAGS, *CHARACTERS), row.tolist(), strict=True))
    assert {**found["ratings"], **found["general"]} == pytest.approx(wanted, abs=1e-4)
    assert set(found["ratings"]) == set(RATINGS)
    assert found["turned"] != found["general"]


@pytest.mark.parametrize("names", [("deepbooru",), NAMES], ids=lambda names: names[0])
def test_a_project_is_tagged_over_http(deepbooru: WebUI, picture: Path, names: tuple[str, ...]) -> None:
    taggers = {one["name"]: one for one in deepbooru.call("/lora_trainer/v1/taggers")}
    known = [name for name in names if name in taggers and taggers[name]["kind"] == "host"]
    if not known:
        assert not FORMS or names == ("deepbooru",), f"the extension's models are not among {sorted(taggers)}"
        pytest.skip("there is no such tagger here")
    project = deepbooru.call("/lora_trainer/v1/projects", {"name": names[0]})
    address = f"/lora_trainer/v1/projects/{project['id']}"
    _wait(deepbooru, deepbooru.call(f"{address}/import", {"path": str(picture.parent)}))
    order = {"tagger": known[0], "mode": "overwrite", "threshold": 0.0, "limit": 5, "underscores": True}
    task = _wait(deepbooru, deepbooru.call(f"{address}/tag", order))
    assert task["state"] == "done", task["message"]
    (image,) = deepbooru.call(f"{address}/images")["items"]
    said = ours(deepbooru, picture, known[0])["general"]
    best = sorted(said, key=lambda tag: -said[tag])[:5]
    assert [said[tag] for tag in image["tags"]] == pytest.approx([said[tag] for tag in best])
    deepbooru.call(f"{address}/undo", {})
    assert deepbooru.call(f"{address}/images")["items"][0]["tags"] == []


def _wait(webui: WebUI, started: dict[str, str]) -> dict[str, Any]:
    """A task at its end."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        task: dict[str, Any] = webui.call(f"/lora_trainer/v1/tasks/{started['task']}")
        if task["state"] != "running":
            return task
        time.sleep(0.2)
    raise TimeoutError(str(task))
