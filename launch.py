"""Make the environment once, then start the trainer: `python launch.py [run] | demo | test`.

Standard library only: this file runs before anything is installed, with whatever Python the reader has.
"""

from __future__ import annotations

import hashlib
import json
import locale
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "lora-trainer.json"  # what is installed; each part is entered when its pip has ended well
LOG = VENV / "install.log"
STACKS = ROOT / "lora_trainer" / "stacks"
PARTS = {"torch": "webui-torch.txt", "webui": "webui.txt", "test": "test.txt"}  # installed in this order
FOREIGN = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONPATH", "PYTHONHOME")  # would lead pip out of the environment
VERSIONS = ("3.11", "3.10")  # of Python: what a WebUI runs on; torch 2.1.2 has no wheel for a newer one
FOLDERS = (
    "%LOCALAPPDATA%/Programs/Python/Python{digits}/python.exe",
    "%PROGRAMFILES%/Python{digits}/python.exe",
    "~/.pyenv/pyenv-win/versions/{version}.*/python.exe",
    "~/.pyenv/versions/{version}.*/bin/python",
    "~/.local/share/uv/python/cpython-{version}.*/bin/python{version}",
    "/Library/Frameworks/Python.framework/Versions/{version}/bin/python{version}",
)
PROBE = f"import sys; v = '%d.%d.%d' % sys.version_info[:3]; print(v); assert v.rpartition('.')[0] in {VERSIONS}"
CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "pytest": ["pytest"],
}
USAGE = (
    """usage: python launch.py [run] [--port 7861] ...   open the trainer in the browser, on this computer only
       python launch.py demo ...                  train a LoRA on the small drawn world that comes along
       python launch.py test [pytest options]     run the checks and the tests
The first start installs everything into .venv; options that follow are handed on.""",
    """用法： python launch.py [run] [--port 7861] ...   在浏览器中打开训练器（仅限本机访问）
       python launch.py demo ...                  用自带的手绘小世界训练一个 LoRA
       python launch.py test [pytest 选项]        运行检查和测试
首次启动会把所需的包装进 .venv；后面的选项会原样传下去。""",
)
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
        "A file in .venv can not be written. Close the programs that use it, delete the folder .venv and start again.",
        "无法写入 .venv 中的文件。请关闭正在使用它的程序，删除 .venv 文件夹后重新启动。",
    ),
)


def words(english: str, chinese: str) -> str:
    """The sentence in the reader's language, as far as the system tells."""
    language = os.environ.get("LC_ALL") or os.environ.get("LANG") or locale.setlocale(locale.LC_CTYPE)
    return chinese if language.lower().startswith(("zh", "chinese")) else english


def give_up(english: str, chinese: str) -> NoReturn:
    """Say what is wrong and end."""
    raise SystemExit(words(english, chinese))


def candidates() -> Iterator[list[str]]:
    """Commands that may start a fitting Python: this one, names on PATH, the Windows launcher, usual folders."""
    yield [sys.executable]
    names = [f"python{version}" for version in VERSIONS] + ["python3", "python"]
    yield from ([found] for name in names if (found := shutil.which(name)))
    if os.name == "nt" and (launcher := shutil.which("py")):
        yield from ([launcher, f"-{version}"] for version in VERSIONS)
    for version in VERSIONS:
        for folder in FOLDERS:
            named = folder.format(version=version, digits=version.replace(".", ""))
            usual = Path(os.path.expandvars(named)).expanduser()
            yield from ([str(found)] for found in Path(usual.anchor).glob(str(usual.relative_to(usual.anchor))))


def probe(command: list[str], needs: str) -> tuple[str, bool]:
    """The version that a Python reports (empty: it does not start), and whether it will do: version, 64 bit, needs."""
    try:
        ask = [*command, "-c", f"{PROBE}; assert sys.maxsize > 2**32; {needs}"]
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "", False
    found = re.match(r"[\d.]+", answer.stdout)
    return found[0] if found else "", answer.returncode == 0


def find_python() -> list[str]:
    """The command of a Python 3.10 or 3.11 that can make an environment; the running one if it fits."""
    met = []
    for command in candidates():
        version, fits = probe(command, "import venv, ensurepip")
        if fits:
            return command
        if version:
            met.append(f"{version} ({' '.join(command)})")
    listed = ", ".join(dict.fromkeys(met))
    give_up(
        f"Python 3.10 or 3.11 is needed, in 64 bit and with its venv module: torch 2.1.2 runs on nothing newer. "
        f"Found: {listed}. "
        "Install Python 3.11 from python.org (Debian, Ubuntu: python3.11 and python3.11-venv) and start again.",
        f"需要 64 位、带 venv 模块的 Python 3.10 或 3.11：torch 2.1.2 不支持更新的版本。找到的有：{listed}。"
        "请从 python.org 安装 Python 3.11（Debian、Ubuntu：python3.11 和 python3.11-venv），然后重新启动。",
    )


def stamped() -> dict[str, str]:
    """What is installed, by part: nothing when the stamp is absent or damaged, or when its Python is gone."""
    try:
        settings = (VENV / "pyvenv.cfg").read_text(encoding="utf-8")
        home = re.search(r"^home *= *(.+)$", settings, re.MULTILINE)
        alive = home and Path(home[1].strip()).is_dir() and VENV_PYTHON.exists()
        return dict(json.loads(STAMP.read_text(encoding="utf-8"))) if alive else {}
    except (OSError, ValueError, TypeError):
        return {}


def stamp(part: str, state: str) -> None:
    """Note the state of one part, at once or not at all."""
    draft = STAMP.with_suffix(".tmp")
    draft.write_text(json.dumps({**stamped(), part: state}), encoding="utf-8")
    draft.replace(STAMP)


def pending(parts: list[str]) -> dict[str, str]:
    """The parts that the stamp does not vouch for, each with the state to stamp once it is installed."""
    have, wanted = stamped(), {}
    for part in parts:  # comments do not count: rewording one installs nothing
        lines = (STACKS / PARTS[part]).read_text(encoding="utf-8").splitlines()
        text = "\n".join(line for line in lines if line and not line.startswith("#"))
        wanted[part] = hashlib.sha256(text.encode()).hexdigest()
    if command := os.environ.get("TORCH_COMMAND"):
        wanted["torch"] = f"TORCH_COMMAND={command}"
    elif have.get("torch", "").startswith("TORCH_COMMAND="):  # no longer set, but what it installed is still meant
        wanted["torch"] = have["torch"]
    return {part: wanted[part] for part in parts if wanted[part] != have.get(part)}


def make_environment() -> None:
    """A usable .venv: kept when its Python and pip answer, made anew otherwise; half-written packages are dropped."""
    if not probe([str(VENV_PYTHON)], "import pip")[1]:
        python = find_python()
        print(words(f"Making the environment {VENV} ...", f"正在创建环境 {VENV} ……"), flush=True)
        make = [*python, "-m", "venv", "--clear", str(VENV)]
        made = subprocess.run(make, capture_output=True, text=True, errors="replace", check=False)
        if made.returncode != 0:
            raise SystemExit(explain(str(VENV), (made.stdout + made.stderr).splitlines()))
    for info in (*VENV.glob("lib/python*/site-packages/*.dist-info"), *VENV.glob("Lib/site-packages/*.dist-info")):
        if not (info / "RECORD").exists():  # pip writes it last; without it, pip would take the package for installed
            shutil.rmtree(info)


def torch_arguments() -> list[str]:
    """pip's arguments for torch: TORCH_COMMAND as the WebUI knows it, or the pinned list."""
    command = os.environ.get("TORCH_COMMAND")
    if not command:
        return ["install", "-r", str(STACKS / PARTS["torch"]), "-c", str(STACKS / PARTS["webui"])]
    parts = [part.strip("\"'") for part in shlex.split(command, posix=os.name != "nt")]
    if "install" in parts:
        return parts[parts.index("install") :]
    give_up(
        f"TORCH_COMMAND is not a pip install command: {command}. Write it as for the WebUI, or unset it.",
        f"TORCH_COMMAND 不是 pip install 命令：{command}。请按 WebUI 的写法修改，或取消该变量。",
    )


def pip(what: str, arguments: list[str]) -> None:
    """Run the environment's pip tersely: big downloads are named, the rest goes to the log."""
    environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    if mirror := os.environ.get("INDEX_URL"):  # the WebUI's name for it
        environment.setdefault("PIP_INDEX_URL", mirror)
    environment |= {"PYTHONUTF8": "1", "PIP_PROGRESS_BAR": "off", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [str(VENV_PYTHON), "-m", "pip", "--no-input", *arguments]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    last: deque[str] = deque(maxlen=400)
    with LOG.open("a", encoding="utf-8") as log, subprocess.Popen(command, env=environment, **pipe) as process:
        log.write(f"\n> {' '.join(command)}\n")
        try:
            for line in process.stdout or ():
                log.write(line)
                last.append(line.strip())
                if big := re.search(r"Downloading (?:\S*/)?(\w+-\d[^-]*)\S* \((\d{2,}[\d.]* [MG]B)\)", line):
                    print(f"  {big[1]}  {big[2]}", flush=True)
        except KeyboardInterrupt:
            process.wait()  # pip got the same Ctrl+C and puts back what it was replacing
            raise
    if process.returncode != 0:
        raise SystemExit(explain(what, list(last)))


def explain(what: str, lines: list[str]) -> str:
    """A failed installation in plain words: what failed, why, what to do next."""
    failed = words(f"{what} could not be installed.", f"无法安装 {what}。")
    for pattern, english, chinese in REASONS:
        if re.search(pattern, "\n".join(lines[-12:])):  # earlier ones were overcome
            return f"{failed} {words(english, chinese)}"
    reason = next((line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")), " ".join(lines[-1:]))
    return f"{failed} {reason} " + words(
        f"The whole output is in {LOG}; correct the cause and start again. If that fails too, delete .venv first.",
        f"完整输出见 {LOG}；请排除原因后重新启动。若仍然失败，请先删除 .venv 文件夹。",
    )


def prepare(parts: list[str]) -> None:
    """Install what is pending. A start with everything in place costs the reading of a few small files."""
    if not pending(parts):
        return
    commands = {
        "torch": ("torch, torchvision", torch_arguments()),
        "webui": ("diffusers, peft, gradio ...", ["install", "-r", str(STACKS / PARTS["webui"])]),
        "test": ("pytest, ruff, mypy ...", ["install", "-r", str(STACKS / PARTS["test"])]),
    }
    make_environment()
    for part, state in pending(parts).items():
        what, arguments = commands[part]
        print(words(f"Installing {what} (once) ...", f"正在安装 {what}（仅此一次）……"), flush=True)
        replaces = part == "torch" and part in stamped()
        stamp(part, "unfinished")
        if replaces:  # pip takes 2.1.2+cpu for 2.1.2 and would leave the other build in place
            pip(what, ["uninstall", "-y", "torch", "torchvision"])
        pip(what, arguments)
        stamp(part, state)


def run(arguments: list[str], folder: Path | None = None) -> int:
    """Run a module with the environment's Python and wait; Ctrl+C and termination are left to it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    environment.pop("PYTHONHOME", None)
    with subprocess.Popen([str(VENV_PYTHON), "-m", *arguments], env=environment, cwd=folder) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the console sent it to the trainer as well, which saves and ends
                continue


def test(options: list[str]) -> int:
    """Every check, whatever the earlier ones said, then one line each."""
    rows, failed = [], False
    for name, arguments in CHECKS.items():
        print(f"== {name}", flush=True)
        began = time.monotonic()
        code = run([*arguments, *(options if name == "pytest" else [])], ROOT)
        rows.append(f"{name:12}  {'FAILED' if code else 'ok':6}  {time.monotonic() - began:7.1f} s")
        failed = failed or code != 0
    print("", *rows, sep="\n")
    return int(failed)


def main(arguments: list[str]) -> int:
    """Choose the command, prepare what it needs, run it."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a console that lacks a character must not stop us
    command = "run" if not arguments or arguments[0].startswith("-") else arguments[0]
    if arguments[:1] in (["-h"], ["--help"]) or command not in ("run", "demo", "test"):
        print(words(*USAGE))
        return 0 if arguments[0].startswith("-") else 2
    options = arguments[1:] if arguments[:1] == [command] else arguments
    try:
        prepare(["torch", "webui", "test"] if command == "test" else ["torch", "webui"])
    except KeyboardInterrupt:
        give_up("Stopped. The next start continues the installation.", "已停止。下次启动会继续安装。")
    except OSError as error:
        raise SystemExit(explain(str(VENV), [str(error)])) from None
    if command == "test":
        return test(options)
    if command == "demo":
        return run(["lora_trainer", "demo", *options])
    port = [] if any(option.split("=")[0] == "--port" for option in options) else ["--port", "7861"]
    return run(["lora_trainer", "serve", *port, *options])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
