"""Make the environment once, then start the trainer: `python launch.py [run] | demo | test`.

Standard library only: this file runs before anything is installed, with whatever Python the reader has.
"""

from __future__ import annotations

import argparse
import sys
import time

from lora_trainer.stacks.environment import ROOT, STACKS, Environment
from lora_trainer.stacks.speech import give_up, words

# What the *current* stack is not for: the tab, the WebUI, and what installs.
NOT_ENGINE = ("tests/api", "tests/ui", "tests/webui", "tests/host", "tests/test_install.py", "tests/test_launch.py")
CHECKS = {
    "webui": {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "mypy": ["mypy"],
        "pytest": ["pytest"],
    },
    "current": {"pytest": ["pytest", *(f"--ignore={path}" for path in NOT_ENGINE)]},
}
USAGE = (
    """usage: python launch.py [run] [--port 7861] ...   open the trainer in the browser, on this computer only
       python launch.py demo ...                  train a LoRA on the small drawn world that comes along
       python launch.py test [pytest options]     run the checks and the tests
       python launch.py test --stack current ...  run the engine's tests with the newest torch and diffusers
The first start installs everything into .venv (the last one: .venv-current); options that follow are handed on.""",
    """用法： python launch.py [run] [--port 7861] ...   在浏览器中打开训练器（仅限本机访问）
       python launch.py demo ...                  用自带的手绘小世界训练一个 LoRA
       python launch.py test [pytest 选项]        运行检查和测试
       python launch.py test --stack current ...  用最新的 torch 和 diffusers 运行引擎的测试
首次启动会把所需的包装进 .venv（最后一种用法：.venv-current）；后面的选项会原样传下去。""",
)


def say(text: str) -> None:
    """Tell the reader at once."""
    print(text, flush=True)


def chosen_stack(options: list[str]) -> tuple[str, list[str]]:
    """The stack that the options of `test` name (empty: `--stack` without a name), and the other options."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--stack", nargs="?", default="webui", const="")
    named, others = parser.parse_known_args(options)
    return named.stack, others


def prepared(stack: str, parts: list[str]) -> Environment:
    """The environment with these parts of its stack installed."""
    environment = Environment(STACKS[stack], say)
    try:
        environment.prepare(parts)
    except KeyboardInterrupt:
        give_up("Stopped. The next start continues the installation.", "已停止。下次启动会继续安装。")
    except OSError as error:
        raise SystemExit(environment.explain(str(environment.folder), [str(error)])) from None
    return environment


def test(stack: str, options: list[str]) -> int:
    """Every check, whatever the earlier ones said, then one line each."""
    environment = prepared(stack, list(STACKS[stack].parts))
    rows, failed = [], False
    for name, arguments in CHECKS[stack].items():
        say(f"== {name}")
        began = time.monotonic()
        code = environment.run([*arguments, *(options if name == "pytest" else [])], ROOT)
        rows.append(f"{name:12}  {'FAILED' if code else 'ok':6}  {time.monotonic() - began:7.1f} s")
        failed = failed or code != 0
    print("", *rows, sep="\n")
    return int(failed)


def main(arguments: list[str]) -> int:
    """Choose the command, prepare what it needs, run it."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a console that lacks a character must not stop us
    command = "run" if not arguments or arguments[0].startswith("-") else arguments[0]
    options = arguments[1:] if arguments[:1] == [command] else arguments
    stack, others = chosen_stack(options) if command == "test" else ("webui", options)
    asks = arguments[:1] in (["-h"], ["--help"])
    if asks or command not in ("run", "demo", "test") or stack not in STACKS:
        print(words(*USAGE))
        return 0 if asks else 2
    if command == "test":
        return test(stack, others)
    environment = prepared(stack, ["torch", "webui"])
    if command == "demo":
        return environment.run(["lora_trainer", "demo", *options])
    port = [] if any(option.split("=")[0] == "--port" for option in options) else ["--port", "7861"]
    return environment.run(["lora_trainer", "serve", *port, *options])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
