"""The WebUI runs this at its start: add the packages that the tab lacks, and move none that is there.

It runs with the WebUI's Python and must never stop the WebUI: whatever happens, it says so and returns. Standard
library only; `import launch` would find this extension's own launch.py, as a script's folder comes first on sys.path.
"""

from __future__ import annotations

import importlib.metadata
import locale
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

# The versions that the trainer works with, from (included) to (excluded). What another extension installed stays.
ACCEPTED = {"diffusers": ((0, 25), (1,)), "peft": ((0, 7), (1000,))}
# diffusers 0.31 declares it; peft 0.13.2 asks for 0.17 but fails at import below 0.23. transformers 4.30 refuses 1.0.
HUB = "huggingface_hub>=0.23.2,<1.0"
# What tags images: any one of these will do, and two of them would overwrite each other's files.
RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-rocm")
# WD14's third generation needs 1.17; from 1.27 on it needs a newer protobuf than the WebUI has.
RUNTIME = "onnxruntime>=1.17,<1.27"
# Which onnxruntime-gpu of the package index was made for which (CUDA, cuDNN); another one of either does not load.
# https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html: CUDA 12 on the index from 1.19 on; builds
# for cuDNN 8 do not run with cuDNN 9 and vice versa; PyTorch 2.3 has cuDNN 8, 2.4 has 9. The packages' own metadata
# (their extras "cuda" and "cudnn") say CUDA 12 and cuDNN 9 up to 1.26, CUDA 13 and cuDNN 9 from 1.27 on.
# There is none for CUDA 12 with cuDNN 8, which is what torch 2.1.2 has: those builds lie on an index of their own only.
ON_CUDA = {
    (11, 8): "onnxruntime-gpu>=1.17,<1.19",
    (12, 9): "onnxruntime-gpu>=1.19,<1.27",
    (13, 9): "onnxruntime-gpu>=1.27",
}
# Which versions to add, and which ones are known to work together with the WebUI's.
STACK = Path(__file__).resolve().parent / "lora_trainer" / "stacks" / "webui.txt"
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
VERSION = re.compile(r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[A-Za-z0-9]+([-_.][A-Za-z0-9]+)*)?")


def say(english: str, chinese: str) -> None:
    """One message in the reader's language, as far as the system tells."""
    language = os.environ.get("LC_ALL") or os.environ.get("LANG") or locale.setlocale(locale.LC_CTYPE)
    print("LoRA Trainer:", chinese if language.lower().startswith(("zh", "chinese")) else english, flush=True)


def installed(name: str) -> str | None:
    """The version of a package that Python would import here."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def is_accepted(name: str, version: str) -> bool:
    """Does the trainer work with this version?"""
    lowest, limit = ACCEPTED[name]
    release = tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])
    return lowest <= release < limit


def canonical(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def frozen() -> list[str]:
    """Every installed package at its exact version, as pip's constraints; what pip itself can not read is left out."""
    names = {canonical(name) for found in importlib.metadata.distributions() if (name := found.metadata["Name"])}
    # Asked by name, not taken from `found`: a half-removed copy (`~orch-2.0.1.dist-info`) is listed there as well.
    pins = {name: version for name in names if NAME.fullmatch(name) and (version := installed(name))}
    return sorted(f"{name}=={version}" for name, version in pins.items() if VERSION.fullmatch(version))


def reviewed() -> dict[str, str]:
    """The reviewed stack: what to add, and which versions are known to work together with the WebUI's."""
    lines = STACK.read_text(encoding="utf-8").splitlines()
    pins = (line.partition(";")[0].strip().split("==") for line in lines if line and not line.startswith("#"))
    return {canonical(name): version for name, version in pins}


def pip_install(requirements: list[str]) -> subprocess.CompletedProcess[str]:
    """Let pip add these, with everything that is installed as a constraint."""
    import subprocess  # slow to import, and most starts need neither
    import tempfile

    # Offline, the WebUI must not wait for long; INDEX_URL is its name for a mirror.
    environment = {"PIP_RETRIES": "1", **os.environ, "PYTHONUTF8": "1"}
    if mirror := os.environ.get("INDEX_URL"):
        environment.setdefault("PIP_INDEX_URL", mirror)
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(frozen()), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "install"]
        command = [*pip, "--prefer-binary", "--constraint", str(constraints), *requirements]
        text = {"encoding": "utf-8", "errors": "replace"}
        return subprocess.run(command, capture_output=True, env=environment, check=False, **text)


def explain(names: str, output: str) -> None:
    """What could not be added, why, and what to do next."""
    held = dict(re.findall(r"user requested \(constraint\) ([\w.-]+)==(\S+)", output))
    if not held:
        errors = [line.removeprefix("ERROR: ") for line in output.splitlines() if "ERROR: " in line]
        why = "; ".join(errors[:2]) or output.strip()[-300:]
        say(
            f"{names} could not be added: {why}. No package was changed; the tab opens, but it can not train yet. "
            "Next: remove the cause (INDEX_URL may name a mirror of the package index), then restart the WebUI.",
            f"无法添加 {names}：{why}。没有改动任何包；标签页会打开，但暂时不能训练。"
            "下一步：请排除原因（可用 INDEX_URL 指定软件包源的镜像），然后重启 WebUI。",
        )
        return
    asked = re.findall(r"^ +(\S+ \S+ depends on .+|The user requested (?!\(constraint\)).+)", output, re.MULTILINE)
    needs = "; ".join(dict.fromkeys(line.replace("The user requested", "this extension needs") for line in asked))
    has = ", ".join(f"{name} {version}" for name, version in held.items())
    good = reviewed()
    update = " ".join(f"{name}=={good[canonical(name)]}" if canonical(name) in good else name for name in held)
    command = f'"{sys.executable}" -m pip install {update}'
    say(
        f"{names} could not be added, because that would change packages which others may need: {needs}; "
        f"installed: {has}. No package was changed; the tab opens, but it can not train yet. "
        f"Next: if you agree to the change, run {command} and restart the WebUI.",
        f"无法添加 {names}，因为那样会改动别处可能需要的包：{needs}；已安装：{has}。"
        f"没有改动任何包；标签页会打开，但暂时不能训练。下一步：若同意改动，请运行 {command}，然后重启 WebUI。",
    )


def torch_cuda() -> tuple[int, int] | None:
    """The major versions of CUDA and cuDNN that torch has, told from package versions; None where it has none."""
    torch = installed("torch") or ""
    release = tuple(int(part) for part in re.findall(r"\d+", torch.partition("+")[0])[:2])
    build = re.fullmatch(r"cu(\d\d)\d+", torch.partition("+")[2])
    packed = [major for major in (11, 12, 13) if installed(f"nvidia-cudnn-cu{major}")]
    if not release or ("+" in torch and not build) or not (build or packed):
        return None
    cuda = int(build[1]) if build else packed[-1]
    own = installed(f"nvidia-cudnn-cu{cuda}")  # on Windows cuDNN lies within torch itself
    return cuda, int(own.partition(".")[0]) if own else (8 if release < (2, 4) else 9)


def add_runtime() -> None:
    """Add what runs tagging models: for the NVIDIA card where there is one and a build that fits torch's libraries."""
    cuda = torch_cuda() if shutil.which("nvidia-smi") else None
    wanted = [ON_CUDA[cuda], RUNTIME] if cuda in ON_CUDA else [RUNTIME]
    if cuda and cuda not in ON_CUDA:
        versions = f"CUDA {cuda[0]}, cuDNN {cuda[1]}"
        say(
            f"tagging will run on the processor: the package index has no onnxruntime-gpu for torch's {versions}.",
            f"打标将在处理器上运行：软件包源中没有适合 torch 的 {versions} 的 onnxruntime-gpu。",
        )
    for requirement in wanted:
        name = re.split("[<>=]", requirement)[0]
        say(f"adding {name} (once) ...", f"正在添加 {name}（仅此一次）……")
        done = pip_install([requirement])
        if done.returncode == 0:
            say(f"added {name}; no other package was moved.", f"已添加 {name}；其他包的版本没有变动。")
            return
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("ERROR: ")]
    why = "; ".join(line.removeprefix("ERROR: ") for line in lines[:2]) or "pip"
    say(
        f"{name} could not be added: {why}. No package was changed; everything works but tagging with WD14 models. "
        "Next: remove the cause, then restart the WebUI.",
        f"无法添加 {name}：{why}。没有改动任何包；除 WD14 打标外一切可用。下一步：请排除原因，然后重启 WebUI。",
    )


def add(names: list[str]) -> None:
    """Add the missing packages, or say why not."""
    listed = ", ".join(names)
    say(f"adding {listed} (once) ...", f"正在添加 {listed}（仅此一次）……")
    good = reviewed()
    done = pip_install([*(f"{name}=={good[name]}" for name in names), HUB])
    if done.returncode != 0:
        explain(listed, done.stdout + done.stderr)
        return
    say(f"added {listed}; no other package was moved.", f"已添加 {listed}；其他包的版本没有变动。")


def report_unfit(name: str, version: str) -> None:
    """A version that the trainer does not work with is left alone: say so, and what the user may do."""
    lowest = ".".join(str(part) for part in ACCEPTED[name][0])
    command = f'"{sys.executable}" -m pip install {name}=={reviewed()[name]}'
    say(
        f"{name} {version} is installed, but training needs {lowest} or a later version of that line. It was left "
        f"alone, because another extension may need it. Next: to replace it, run {command} and restart the WebUI.",
        f"已安装 {name} {version}，但训练需要 {lowest} 或同一系列的更新版本。由于其他扩展可能需要它，没有改动。"
        f"下一步：若要替换，请运行 {command}，然后重启 WebUI。",
    )


def main() -> None:
    """Look, add what is missing, say what stands in the way; quick and silent when there is nothing to do."""
    if not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # the WebUI reads it so
    found = {name: installed(name) for name in ACCEPTED}
    for name, version in found.items():
        if version and not is_accepted(name, version):
            report_unfit(name, version)
    if missing := [name for name, version in found.items() if version is None]:
        add(missing)
    if not any(installed(name) for name in RUNTIMES):
        add_runtime()


if __name__ == "__main__":
    try:
        main()
    except OSError as error:  # no space, no temporary folder, an unreadable list
        say(f"the packages could not be looked at: {error}.", f"未能检查依赖包：{error}。")
