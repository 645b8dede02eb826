"""An environment of one stack: made once, kept, repaired, brought up to date, and run in.

Standard library only, in a syntax that Python 3.8 reads.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .finding import find_python, probe
from .speech import give_up, words

LISTS = Path(__file__).resolve().parent
ROOT = LISTS.parent.parent
FOREIGN = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONPATH", "PYTHONHOME")  # would lead pip out of the environment
BIG = re.compile(r"Downloading (?:\S*/)?(\w+-\d[^-]*)\S* \((\d{2,}[\d.]* [MG]B)\)")
REASONS = (
    (
        r"No space left|Errno 28|not enough space",
        "The disk is full. Free about 10 GB and start again; what is downloaded is kept.",
        "磁盘已满。请腾出约 10 GB 空间后重新启动；已下载的内容会保留。",
    ),
    (
        r"NewConnectionError|Failed to establish|name resolution|getaddrinfo|timed out|ProxyError|SSLError|reset by",
        "The package index can not be reached. Check the network, or set PIP_INDEX_URL to a mirror, and start again.",
        "无法连接软件包源。请检查网络，或把 PIP_INDEX_URL 设为镜像地址，然后重新启动。",
    ),
    (
        r"Permission denied|Errno 13|WinError 5|Access is denied",
        "A file in {0} can not be written. Close the programs that use it, delete the folder {0} and start again.",
        "无法写入 {0} 中的文件。请关闭正在使用它的程序，删除 {0} 文件夹后重新启动。",
    ),
)


@dataclass(frozen=True)
class Part:
    """One list of packages and how pip installs it."""

    packages: str  # as told to the reader
    file: str  # the list, beside this module
    options: tuple[str, ...] = ()  # pip's
    constraints: str = ""  # another list, which also holds for what these packages bring along


@dataclass(frozen=True)
class Stack:
    """Packages that work together, in the order of their installation, and the Pythons that they are pinned for."""

    folder: str
    versions: tuple[str, ...]  # of Python, the preferred one first
    because: tuple[str, str]  # why no other, in English and in Chinese
    parts: dict[str, Part]


STACKS = {
    "webui": Stack(
        ".venv",
        ("3.11", "3.10"),  # what a WebUI runs on
        ("torch 2.1.2 runs on nothing newer", "torch 2.1.2 不支持更新的版本"),
        {
            "torch": Part("torch, torchvision", "webui-torch.txt", constraints="webui.txt"),
            "webui": Part("diffusers, peft, gradio ...", "webui.txt"),
            "test": Part("pytest, ruff, mypy ...", "test.txt"),
        },
    ),
    "current": Stack(
        ".venv-current",
        ("3.11",),
        ("the packages of the current stack are pinned for it", "current 组合的包是为这个版本选定的"),
        {
            "torch": Part("torch", "current-torch.txt", constraints="current.txt"),
            "current": Part("diffusers, peft, transformers, pytest ...", "current.txt", ("--no-deps",)),
        },
    ),
}


def torch_command() -> list[str]:
    """pip's arguments from TORCH_COMMAND, which is written as for the WebUI; none where it is not set."""
    command = os.environ.get("TORCH_COMMAND")
    if not command:
        return []
    parts = [part.strip("\"'") for part in shlex.split(command, posix=os.name != "nt")]
    if "install" in parts:
        return parts[parts.index("install") :]
    give_up(
        f"TORCH_COMMAND is not a pip install command: {command}. Write it as for the WebUI, or unset it.",
        f"TORCH_COMMAND 不是 pip install 命令：{command}。请按 WebUI 的写法修改，或取消该变量。",
    )


class Environment:
    """The environment of a stack, in a folder of the project."""

    def __init__(self, stack: Stack, say: Callable[[str], None]) -> None:
        self.stack, self.say = stack, say
        self.folder = ROOT / stack.folder
        self.python = self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.stamp_file = self.folder / "lora-trainer.json"  # a part is entered when its pip has ended well
        self.log = self.folder / "install.log"

    def prepare(self, parts: list[str]) -> None:
        """Install what is pending. A start with everything in place costs the reading of a few small files."""
        if not self.pending(parts):
            return
        torch = torch_command()  # refused before anything is made
        self.make()
        for name, state in self.pending(parts).items():
            part = self.stack.parts[name]
            self.say(words(f"Installing {part.packages} (once) ...", f"正在安装 {part.packages}（仅此一次）……"))
            replaces = name == "torch" and name in self.stamped()
            self.stamp(name, "unfinished")
            if replaces:  # pip takes 2.1.2+cpu for 2.1.2 and would leave the other build in place
                self.pip(part.packages, ["uninstall", "-y", "torch", "torchvision"])
            listed = ["install", *part.options, "-r", str(LISTS / part.file)]
            listed += ["-c", str(LISTS / part.constraints)] if part.constraints else []
            self.pip(part.packages, torch if torch and name == "torch" else listed)
            self.stamp(name, state)

    def run(self, arguments: list[str], folder: Path | None = None) -> int:
        """Run a module with the environment's Python and wait; Ctrl+C and termination are left to it."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        environment.pop("PYTHONHOME", None)
        with subprocess.Popen([str(self.python), "-m", *arguments], env=environment, cwd=folder) as process:
            signal.signal(signal.SIGTERM, lambda *_: process.terminate())
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:  # the console sent it to the trainer as well, which saves and ends
                    continue

    def pending(self, parts: list[str]) -> dict[str, str]:
        """The parts that the stamp does not vouch for, each with the state to stamp once it is installed."""
        have, wanted = self.stamped(), {}
        for part in parts:  # comments do not count: rewording one installs nothing
            lines = (LISTS / self.stack.parts[part].file).read_text(encoding="utf-8").splitlines()
            text = "\n".join(line for line in lines if line and not line.startswith("#"))
            wanted[part] = hashlib.sha256(text.encode()).hexdigest()
        if command := os.environ.get("TORCH_COMMAND"):
            wanted["torch"] = f"TORCH_COMMAND={command}"
        elif have.get("torch", "").startswith("TORCH_COMMAND="):  # no longer set, but what it installed is still meant
            wanted["torch"] = have["torch"]
        return {part: wanted[part] for part in parts if wanted[part] != have.get(part)}

    def stamped(self) -> dict[str, str]:
        """What is installed, by part: nothing when the stamp is absent or damaged, or when its Python is gone."""
        try:
            settings = (self.folder / "pyvenv.cfg").read_text(encoding="utf-8")
            home = re.search(r"^home *= *(.+)$", settings, re.MULTILINE)
            alive = home and Path(home[1].strip()).is_dir() and self.python.exists()
            return dict(json.loads(self.stamp_file.read_text(encoding="utf-8"))) if alive else {}
        except (OSError, ValueError, TypeError):
            return {}

    def stamp(self, part: str, state: str) -> None:
        """Note the state of one part, at once or not at all."""
        draft = self.stamp_file.with_suffix(".tmp")
        draft.write_text(json.dumps({**self.stamped(), part: state}), encoding="utf-8")
        draft.replace(self.stamp_file)

    def make(self) -> None:
        """A usable folder: kept when its Python and pip answer, made anew otherwise; half-written packages go."""
        if not probe([str(self.python)], self.stack.versions, "import pip")[1]:
            python = find_python(self.stack.versions, self.stack.because)
            self.say(words(f"Making the environment {self.folder} ...", f"正在创建环境 {self.folder} ……"))
            make = [*python, "-m", "venv", "--clear", str(self.folder)]
            made = subprocess.run(make, capture_output=True, text=True, errors="replace", check=False)
            if made.returncode != 0:
                raise SystemExit(self.explain(str(self.folder), (made.stdout + made.stderr).splitlines()))
        for packages in ("lib/python*/site-packages", "Lib/site-packages"):
            for info in self.folder.glob(f"{packages}/*.dist-info"):
                if not (info / "RECORD").exists():  # written last; pip takes the package for installed without it
                    shutil.rmtree(info)

    def pip(self, what: str, arguments: list[str]) -> None:
        """Run the environment's pip tersely: big downloads are named, the rest goes to the log."""
        environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
        if mirror := os.environ.get("INDEX_URL"):  # the WebUI's name for it
            environment.setdefault("PIP_INDEX_URL", mirror)
        environment.update(PYTHONUTF8="1", PIP_PROGRESS_BAR="off", PIP_DISABLE_PIP_VERSION_CHECK="1")
        command = [str(self.python), "-m", "pip", "--no-input", *arguments]
        last: deque[str] = deque(maxlen=400)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n> {' '.join(command)}\n")
            with subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            ) as process:
                try:
                    for line in process.stdout or ():
                        log.write(line)
                        last.append(line.strip())
                        if big := BIG.search(line):
                            self.say(f"  {big[1]}  {big[2]}")
                except KeyboardInterrupt:
                    process.wait()  # pip got the same Ctrl+C and puts back what it was replacing
                    raise
        if process.returncode != 0:
            raise SystemExit(self.explain(what, list(last)))

    def explain(self, what: str, lines: list[str]) -> str:
        """A failed installation in plain words: what failed, why, what to do next."""
        failed, folder = words(f"{what} could not be installed.", f"无法安装 {what}。"), self.stack.folder
        for pattern, english, chinese in REASONS:
            if re.search(pattern, "\n".join(lines[-12:])):  # earlier ones were overcome
                return f"{failed} {words(english, chinese).format(folder)}"
        errors = (line[len("ERROR: ") :] for line in lines if line.startswith("ERROR: "))
        return f"{failed} {next(errors, ' '.join(lines[-1:]))} " + words(
            f"The whole output is in {self.log}; correct the cause and start again. "
            f"If that fails too, delete {folder} first.",
            f"完整输出见 {self.log}；请排除原因后重新启动。若仍然失败，请先删除 {folder} 文件夹。",
        )
