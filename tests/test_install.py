"""install.py, run for real against a scratch Python: it adds what is missing and moves nothing that is there."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
# An elder WebUI: everything here has a newer version on offer.
WEBUI = {
    "accelerate": "0.21.0",
    "huggingface_hub": "0.23.4",
    "safetensors": "0.4.2",
    "torch": "2.1.2+cu121",
    "transformers": "4.30.2",
}
NEWER = {name: "9.9" for name in WEBUI} | {"huggingface_hub": "0.36.2"}
DIFFUSERS = ["huggingface-hub>=0.23.2", "safetensors>=0.3.1", "importlib-metadata"]
PEFT = ["torch>=1.13", "transformers", "accelerate>=0.21.0", "huggingface-hub>=0.17.0", "psutil"]


@pytest.fixture(scope="module")
def install_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_under_test", ROOT / "install.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, make_wheel, install_module) -> Path:
    """The index: what install.py asks for, what that needs, and newer versions of all that a WebUI has."""
    folder = tmp_path_factory.mktemp("shelf")
    pins = install_module.reviewed()
    make_wheel(folder, "diffusers", pins["diffusers"], DIFFUSERS)
    make_wheel(folder, "peft", pins["peft"], PEFT)
    for name, version in {**NEWER, "importlib_metadata": "8.0", "psutil": "7.0"}.items():
        make_wheel(folder, name, version)
    make_wheel(folder, "huggingface_hub", "1.2.0")
    for version in ("1.16.0", "1.26.0", "1.27.0"):
        make_wheel(folder, "onnxruntime", version)
    for version in ("1.18.1", "1.26.0", "1.27.0"):
        make_wheel(folder, "onnxruntime_gpu", version)
    return folder


class WebUI:
    """The WebUI's Python as install.py finds it: what is installed, and what the start prints."""

    def __init__(self, python: Path, environment: Mapping[str, str]) -> None:
        self.python, self.environment = python, dict(environment)
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.packages = Path(subprocess.check_output([python, "-c", code], text=True).strip())

    def put(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.packages)

    def versions(self) -> dict[str, str]:
        listing = "{d.metadata['Name']: d.version for d in distributions()}"
        code = f"import json; from importlib.metadata import distributions; print(json.dumps({listing}))"
        return dict(json.loads(subprocess.check_output([self.python, "-c", code], text=True)))

    def start(self, **variables: str) -> str:
        """What the WebUI does: run the file with its Python and its folder, read both streams as UTF-8."""
        done = subprocess.run(
            [self.python, str(ROOT / "install.py")],
            capture_output=True,
            encoding="utf-8",
            env={**self.environment, "PYTHONPATH": str(ROOT.parent), **variables},
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout

    def pip(self, *arguments: str) -> str:
        """pip as it is without install.py's constraints, to show what would happen."""
        command = [self.python, "-m", "pip", "--disable-pip-version-check", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False).stdout


@pytest.fixture
def webui(scratch_python, offline_environment, shelf, tmp_path, make_wheel) -> WebUI:
    """A WebUI of its own for every test: the same Python with the packages laid out afresh."""
    scratch = WebUI(scratch_python, {**offline_environment, "PIP_FIND_LINKS": str(shelf)})
    for path in scratch.packages.iterdir():
        if path.is_dir() and path.name != "pip":
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
    for name, version in WEBUI.items():
        scratch.put(make_wheel(tmp_path, name, version))
    return scratch


def test_adds_what_is_missing_and_moves_nothing(webui: WebUI, install_module: ModuleType) -> None:
    said = webui.start()
    after, pins = webui.versions(), install_module.reviewed()
    assert {name: after[name] for name in WEBUI} == WEBUI
    added = {name: version for name, version in after.items() if name not in WEBUI}
    assert added == {
        "diffusers": pins["diffusers"],
        "peft": pins["peft"],
        "importlib_metadata": "8.0",
        "onnxruntime": "1.26.0",
        "psutil": "7.0",
    }
    assert "added diffusers, peft" in said


def test_a_second_start_is_silent_and_needs_no_pip(webui: WebUI) -> None:
    webui.start()
    (webui.packages / "pip").rename(webui.packages / "pip-away")
    try:
        assert webui.start() == ""
    finally:
        (webui.packages / "pip-away").rename(webui.packages / "pip")


def test_an_idle_start_does_not_even_load_subprocess(webui: WebUI, make_wheel, tmp_path) -> None:
    for name in ("diffusers", "peft", "onnxruntime_directml"):
        webui.put(make_wheel(tmp_path, name, "0.31.0"))
    code = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__'); print('subprocess' in sys.modules)"
    command = [webui.python, "-c", code, str(ROOT / "install.py")]
    assert subprocess.check_output(command, text=True, env=webui.environment).strip() == "False"


def test_a_newer_version_of_another_extension_stays(webui: WebUI, make_wheel, tmp_path) -> None:
    webui.put(make_wheel(tmp_path, "diffusers", "0.33.1", DIFFUSERS))
    webui.start()
    after = webui.versions()
    assert after["diffusers"] == "0.33.1"
    assert "peft" in after
    assert {name: after[name] for name in WEBUI} == WEBUI


@pytest.mark.parametrize("version", ["0.20.2", "1.0.0"])
def test_an_unfit_version_is_reported_and_left_alone(webui: WebUI, make_wheel, tmp_path, version: str) -> None:
    webui.put(make_wheel(tmp_path, "diffusers", version))
    webui.put(make_wheel(tmp_path, "peft", "0.15.0"))
    webui.put(make_wheel(tmp_path, "onnxruntime", "1.17.0"))
    before = webui.versions()
    said = webui.start()
    assert f"diffusers {version} is installed, but training needs 0.25" in said
    assert "-m pip install diffusers==0.31.0" in said
    assert webui.versions() == before


def test_a_conflict_moves_nothing_and_says_what_to_do(webui: WebUI, make_wheel, tmp_path) -> None:
    webui.put(make_wheel(tmp_path, "onnxruntime", "1.17.0"))
    shutil.rmtree(webui.packages / "huggingface_hub-0.23.4.dist-info")
    webui.put(make_wheel(tmp_path, "huggingface_hub", "0.20.3"))
    before = webui.versions()
    unguarded = webui.pip("install", "--dry-run", "diffusers==0.31.0")
    assert "huggingface" in unguarded.split("Would install")[1]  # pip alone would have moved it

    said = webui.start()
    assert webui.versions() == before
    assert "this extension needs huggingface_hub<1.0" in said
    assert "installed: huggingface-hub 0.20.3" in said
    assert "-m pip install huggingface-hub==0.36.2 and restart" in said


def test_a_conflict_inside_a_requirement_names_it(webui: WebUI, make_wheel, tmp_path, install_module) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    make_wheel(shelf, "diffusers", install_module.reviewed()["diffusers"], ["safetensors>=0.5"])
    make_wheel(shelf, "peft", install_module.reviewed()["peft"])
    make_wheel(shelf, "safetensors", "0.6.0")
    webui.put(make_wheel(tmp_path, "onnxruntime", "1.17.0"))
    before = webui.versions()
    said = webui.start(PIP_FIND_LINKS=str(shelf))
    assert webui.versions() == before
    assert "diffusers 0.31.0 depends on safetensors>=0.5" in said
    assert "installed: safetensors 0.4.2" in said


def test_without_a_network_nothing_moves_and_the_start_goes_on(webui: WebUI, tmp_path) -> None:
    before = webui.versions()
    said = webui.start(PIP_FIND_LINKS=str(tmp_path))
    assert webui.versions() == before
    assert "diffusers, peft could not be added: " in said
    assert "onnxruntime could not be added: " in said
    assert "everything works but tagging with WD14" in said
    assert "No matching distribution" in said
    assert "INDEX_URL may name a mirror" in said


def test_without_pip_the_start_goes_on(webui: WebUI) -> None:
    (webui.packages / "pip").rename(webui.packages / "pip-away")
    try:
        assert "No module named pip" in webui.start()
    finally:
        (webui.packages / "pip-away").rename(webui.packages / "pip")


def test_packages_that_pip_can_not_read_do_no_harm(webui: WebUI, make_wheel, tmp_path) -> None:
    """A system package with a version of its own making, and a folder without anything in it."""
    webui.put(make_wheel(tmp_path, "oddly", "1.1"))
    metadata = webui.packages / "oddly-1.1.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.1\n", "Version: 1.1build1~x\n"))
    (webui.packages / "empty-1.0.dist-info").mkdir()
    assert "added diffusers, peft" in webui.start()


def test_what_a_broken_removal_left_behind_is_not_a_constraint(webui: WebUI, make_wheel, tmp_path) -> None:
    webui.put(make_wheel(tmp_path, "transformers", "4.20.0"))
    (webui.packages / "transformers-4.20.0.dist-info").rename(webui.packages / "~ransformers-4.20.0.dist-info")
    code = "import sys; sys.path.append(sys.argv[1]); import install; print(*install.frozen())"
    frozen = subprocess.check_output([webui.python, "-c", code, str(ROOT)], text=True, env=webui.environment).split()
    assert {"transformers==4.30.2", "torch==2.1.2+cu121", "huggingface-hub==0.23.4"} <= set(frozen)
    assert "transformers==4.20.0" not in frozen


def test_chinese_readers_are_answered_in_chinese(webui: WebUI, tmp_path) -> None:
    said = webui.start(PIP_FIND_LINKS=str(tmp_path), LC_ALL="zh_CN.UTF-8", PYTHONIOENCODING="cp936")
    assert "无法添加 diffusers, peft" in said  # and as UTF-8, which is how the WebUI reads it


def test_the_mirror_of_the_webui_is_used(install_module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(subprocess, "run", lambda *_, **options: calls.append(options["env"]))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.setenv("INDEX_URL", "https://mirror.example/simple")
    install_module.pip_install(["peft"])
    assert calls[0]["PIP_INDEX_URL"] == "https://mirror.example/simple"
    assert "PIP_INDEX_URL" not in os.environ


@pytest.mark.parametrize(
    ("name", "version", "accepted"),
    [
        ("diffusers", "0.24.0", False),
        ("diffusers", "0.25.0", True),
        ("diffusers", "0.31.0+cu1", True),
        ("diffusers", "0.36.0.dev0", True),
        ("diffusers", "1.0.0", False),
        ("peft", "0.6.2", False),
        ("peft", "0.7", True),
        ("peft", "1.2.0", True),
    ],
)
def test_accepted_versions(install_module: ModuleType, name: str, version: str, accepted: bool) -> None:
    assert install_module.is_accepted(name, version) is accepted


def test_what_it_adds_is_what_it_accepts(install_module: ModuleType) -> None:
    pins = install_module.reviewed()
    assert all(install_module.is_accepted(name, pins[name]) for name in install_module.ACCEPTED)


@pytest.fixture
def card(tmp_path: Path) -> str:
    """A PATH on which an NVIDIA driver's tool lies."""
    tool = tmp_path / "driver" / ("nvidia-smi.exe" if os.name == "nt" else "nvidia-smi")
    tool.parent.mkdir()
    tool.write_bytes(b"")
    tool.chmod(0o755)
    return os.pathsep.join([str(tool.parent), os.environ["PATH"]])


@pytest.mark.parametrize(
    ("cudnn", "added", "said"),
    [
        ("nvidia_cudnn_cu12==9.1.0.70", {"onnxruntime-gpu": "1.26.0"}, "added onnxruntime-gpu"),
        ("nvidia_cudnn_cu12==8.9.2.26", {"onnxruntime": "1.26.0"}, "no onnxruntime-gpu for torch's CUDA 12, cuDNN 8"),
    ],
)
def test_a_card_gets_the_runtime_of_torchs_own_libraries(
    webui: WebUI, make_wheel, tmp_path, card, cudnn, added, said
) -> None:
    for name in ("diffusers", "peft"):
        webui.put(make_wheel(tmp_path, name, "0.31.0"))
    webui.put(make_wheel(tmp_path, *cudnn.split("==")))
    before = webui.versions()
    assert said in webui.start(PATH=card)
    after = webui.versions()
    assert {name.replace("_", "-"): version for name, version in after.items() if name not in before} == added
    assert {name: after[name] for name in before} == before


def test_without_a_card_the_runtime_is_the_plain_one(webui: WebUI, make_wheel, tmp_path) -> None:
    webui.put(make_wheel(tmp_path, "nvidia_cudnn_cu12", "9.1.0.70"))
    assert "onnxruntime-gpu" not in webui.start(PATH=str(tmp_path))
    assert "onnxruntime" in webui.versions()


def test_a_card_whose_runtime_is_not_to_be_had_gets_the_plain_one(webui: WebUI, make_wheel, tmp_path, card) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    make_wheel(shelf, "onnxruntime", "1.26.0")
    webui.put(make_wheel(tmp_path, "nvidia_cudnn_cu12", "9.1.0.70"))
    assert "added onnxruntime;" in webui.start(PATH=card, PIP_FIND_LINKS=str(shelf))


@pytest.mark.parametrize(
    ("packages", "cuda"),
    [
        ({"torch": "2.1.2+cu121"}, (12, 8)),  # Windows: cuDNN lies within torch
        ({"torch": "2.4.0+cu124"}, (12, 9)),
        ({"torch": "2.0.1+cu118"}, (11, 8)),
        ({"torch": "2.1.2", "nvidia-cudnn-cu12": "8.9.2.26"}, (12, 8)),  # Linux, from the package index
        ({"torch": "2.9.0+cu130", "nvidia-cudnn-cu13": "9.13.0.50"}, (13, 9)),
        ({"torch": "2.1.2+cpu", "nvidia-cudnn-cu12": "8.9.2.26"}, None),
        ({"torch": "2.1.2+rocm5.6"}, None),
        ({"torch": "2.1.2"}, None),
        ({}, None),
    ],
)
def test_torchs_libraries_are_told_from_its_version(install_module, monkeypatch, packages, cuda) -> None:
    monkeypatch.setattr(install_module, "installed", packages.get)
    assert install_module.torch_cuda() == cuda
