"""What several tests share: packages made on the spot, so that pip can be run for real without a network."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

MakeWheel = Callable[..., Path]


def write_wheel(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> Path:
    """An installable package of one module that knows its version."""
    module, tag = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    files = {
        f"{module}.py": f'__version__ = "{version}"\n',
        f"{tag}.dist-info/METADATA": "\n".join(metadata) + "\n",
        f"{tag}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{tag}.dist-info/RECORD"
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    wheel = folder / f"{tag}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


@pytest.fixture(scope="session")
def make_wheel() -> MakeWheel:
    """`make_wheel(folder, name, version, requires)` writes an installable wheel."""
    return write_wheel


@pytest.fixture(scope="session")
def offline_environment() -> dict[str, str]:
    """Environment variables of a pip that knows no index and no settings of this computer, and speaks English."""
    taken = ("PIP_", "PYTHON", "TORCH_COMMAND", "INDEX_URL", "LC_", "LANG", "VIRTUAL_ENV")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(taken)}
    return {**kept, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "LC_ALL": "C.UTF-8"}


def copy_pip(site_packages: Path) -> None:
    """Give an environment made without pip a copy of ours: much quicker than having one installed."""
    import pip

    shutil.copytree(Path(pip.__file__).parent, site_packages / "pip", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture(scope="module")
def scratch_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an empty environment that has pip and nothing else."""
    import venv

    folder = tmp_path_factory.mktemp("scratch")
    venv.create(folder, with_pip=False)
    windows = sys.platform == "win32"
    python = folder / ("Scripts/python.exe" if windows else "bin/python")
    version = "python{}.{}".format(*sys.version_info[:2])
    copy_pip(folder / ("Lib/site-packages" if windows else f"lib/{version}/site-packages"))
    return python
