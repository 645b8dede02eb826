"""A Python that fits a stack, looked for wherever one may be installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .speech import give_up

FOLDERS = (
    "%LOCALAPPDATA%/Programs/Python/Python{digits}/python.exe",
    "%PROGRAMFILES%/Python{digits}/python.exe",
    "~/.pyenv/pyenv-win/versions/{version}.*/python.exe",
    "~/.pyenv/versions/{version}.*/bin/python",
    "~/.local/share/uv/python/cpython-{version}.*/bin/python{version}",
    "/Library/Frameworks/Python.framework/Versions/{version}/bin/python{version}",
)


def candidates(versions: tuple[str, ...]) -> Iterator[list[str]]:
    """Commands that may start a fitting Python: this one, names on PATH, the Windows launcher, usual folders."""
    yield [sys.executable]
    names = [f"python{version}" for version in versions] + ["python3", "python"]
    yield from ([found] for name in names if (found := shutil.which(name)))
    if os.name == "nt" and (launcher := shutil.which("py")):
        yield from ([launcher, f"-{version}"] for version in versions)
    for version in versions:
        for folder in FOLDERS:
            named = folder.format(version=version, digits=version.replace(".", ""))
            usual = Path(os.path.expandvars(named)).expanduser()
            yield from ([str(found)] for found in Path(usual.anchor).glob(str(usual.relative_to(usual.anchor))))


def probe(command: list[str], versions: tuple[str, ...], needs: str) -> tuple[str, bool]:
    """The version that a Python reports (empty: it does not start), and whether it will do: version, 64 bit, needs."""
    version = "import sys; v = '%d.%d.%d' % sys.version_info[:3]; print(v)"
    fits = f"assert v.rpartition('.')[0] in {versions}; assert sys.maxsize > 2**32; {needs}"
    try:
        ask = [*command, "-c", f"{version}; {fits}"]
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "", False
    found = re.match(r"[\d.]+", answer.stdout)
    return found[0] if found else "", answer.returncode == 0


def find_python(versions: tuple[str, ...], because: tuple[str, str]) -> list[str]:
    """The command of a Python of one of these versions that can make an environment; the running one if it fits."""
    met = []
    for command in candidates(versions):
        version, fits = probe(command, versions, "import venv, ensurepip")
        if fits:
            return command
        if version:
            met.append(f"{version} ({' '.join(command)})")
    listed, best = ", ".join(dict.fromkeys(met)), versions[0]
    give_up(
        f"Python {' or '.join(reversed(versions))} is needed, in 64 bit and with its venv module: {because[0]}. "
        f"Found: {listed}. "
        f"Install Python {best} from python.org (Debian, Ubuntu: python{best} and python{best}-venv) and start again.",
        f"需要 64 位、带 venv 模块的 Python {' 或 '.join(reversed(versions))}：{because[1]}。找到的有：{listed}。"
        f"请从 python.org 安装 Python {best}（Debian、Ubuntu：python{best} 和 python{best}-venv），然后重新启动。",
    )
