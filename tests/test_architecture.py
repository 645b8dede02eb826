"""The rules of the house, read from the syntax: who may import whom, how big things get, what an import may do."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS, MAX_NESTING, MAX_TAB_SCRIPT = 300, 60, 5, 3, 30

# Words first, the outer edges last: a module imports from its own level or a lower one. The longest prefix counts.
LEVELS = {
    "errors": 0,
    "settings": 0,
    "settings_file": 0,
    "presets": 0,
    "events": 0,
    "commands": 0,
    "disk": 0,
    "language": 0,
    "stacks": 0,
    "checkpoint": 1,
    "dataset": 1,
    "tagging": 1,
    "captions": 1,
    "adapter": 1,
    "interop": 1,
    "run": 1,
    "status": 1,
    "host.protocol": 1,  # the contract; what stands behind it is level 4
    "training": 2,
    "picking": 2,
    "job": 3,
    "refusals": 3,
    "forecast": 3,
    "outputs": 3,
    "comparison": 3,
    "compare_files": 3,
    "measure": 3,
    "project": 3,
    "host": 4,
    "api": 5,
    "demo": 5,
    "ui": 5,
    "__main__": 5,
    "commandline": 5,
    "dataset_commands": 5,
    "console": 5,
}
WIDGETS = {  # who may import what draws the page or answers it
    "gradio": ("lora_trainer/ui/",),
    "fastapi": ("lora_trainer/ui/", "lora_trainer/api/"),
    "starlette": ("lora_trainer/ui/", "lora_trainer/api/"),
    "uvicorn": ("lora_trainer/ui/",),
}
HOST_ONLY = ("modules", "networks")
# The edges, which show and log whatever comes: nowhere else may everything be caught.
EDGES = (
    *("lora_trainer/host/", "lora_trainer/ui/", "lora_trainer/__main__.py"),
    *("lora_trainer/api/edge.py", "lora_trainer/project/tasks.py"),
)
# What a module-level constant may be made with; a name in CapWords makes a value and may be called as well.
PURE = """
    bool bytes complex dict float frozenset int len list max min object range set sorted str tuple zip
    attrgetter compile count field fields getLogger itemgetter namedtuple partial replace
    items join joinpath keys lower resolve split strip upper values with_name
"""


def sources(*folders: str) -> list[str]:
    """The Python files of the product below these folders (or the files themselves), as paths from the root."""
    found = []
    for folder in folders:
        path = ROOT / folder
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [path.relative_to(ROOT).as_posix() for path in found]


def parse(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


def imports(tree: ast.AST, path: str) -> Iterator[tuple[int, str]]:
    """Every imported dotted name with its line. `from a import b` counts as a.b: b may be a module."""
    package = path.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{stem}.{alias.name}") for alias in node.names)


def level(name: str) -> int | None:
    """The level of a dotted name inside lora_trainer; None when no room was made for it."""
    parts = name.split(".")[1:]
    prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    if (known := next((LEVELS[prefix] for prefix in prefixes if prefix in LEVELS), None)) is not None:
        return known
    if not parts or parts[0].startswith("__"):  # the package itself and names like __version__
        return 0
    return LEVELS["demo"] if parts[0].startswith("demo_") else None


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def wrong_imports(tree: ast.AST, path: str) -> Iterator[str]:
    """Imports that this place may not have: the host's, the widgets', a higher room's, the drawn world's."""
    importer = module_name(path)
    in_package = path.startswith("lora_trainer/")
    tells_a_world = level(importer) == LEVELS["demo"] and not path.startswith("lora_trainer/ui/")
    trains_a_world = "/training/" in path or any(is_main_guard(node) for node in ast.iter_child_nodes(tree))
    for line, name in imports(tree, path):
        top, where = name.split(".")[0], f"{path}:{line} imports {name}"
        starts = path in ("launch.py", "install.py") or path.startswith("lora_trainer/stacks/")
        bare = path != "install.py" and name.startswith("lora_trainer.stacks.")
        if starts and top not in sys.stdlib_module_names and not bare:
            yield f"{where}, but runs before anything is installed"
        if top in HOST_ONLY and not path.startswith("lora_trainer/host/"):
            yield f"{where}, which only lora_trainer/host may"
        if top in WIDGETS and not path.startswith(WIDGETS[top]):
            yield f"{where}, which only {' and '.join(room.rstrip('/') for room in WIDGETS[top])} may"
        if top == "worlds" and in_package and not tells_a_world:
            yield f"{where}, which only the demo and the command line may"
        if top == "lora_trainer" and path.startswith("worlds/"):
            if not (trains_a_world and name.startswith("lora_trainer.checkpoint.")):
                yield f"{where}: a world's training scripts may import lora_trainer.checkpoint, nothing else"
        elif top == "lora_trainer" and in_package:
            yield from wrong_arrow(importer, name, where)


def wrong_arrow(importer: str, imported: str, where: str) -> Iterator[str]:
    """An arrow that points up, or that starts or ends in a room without a level."""
    own, other = level(importer), level(imported)
    if own is None or other is None:
        yield f"{where}: give {importer if own is None else imported} a level in LEVELS"
    elif other > own:
        yield f"{where}: level {own} imports level {other}"


def is_main_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.dump(node.test)


def over_budget(tree: ast.AST, path: str) -> Iterator[str]:
    """Functions that are too long, take too much or nest too deep; global statements."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"{path}:{node.lineno} has a global statement"
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        where, arguments = f"{path}:{node.lineno} {node.name}", node.args
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        named = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        takes = len([n for n in named if n not in ("self", "cls")]) + bool(arguments.vararg) + bool(arguments.kwarg)
        if lines > MAX_FUNCTION:
            yield f"{where} has {lines} lines, more than {MAX_FUNCTION}"
        if takes > MAX_PARAMETERS:
            yield f"{where} takes {takes} parameters, more than {MAX_PARAMETERS}"
        if (depth := nesting(node.body)) > MAX_NESTING:
            yield f"{where} nests {depth} deep, more than {MAX_NESTING}"


def nesting(body: list[ast.stmt]) -> int:
    """How deep branches and loops stand in each other; an elif stands beside its if, `with` is free."""
    deepest = 0
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        costs = isinstance(node, ast.If | ast.For | ast.AsyncFor | ast.While | ast.Try | ast.Match)
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, part, [])
            is_elif = part == "orelse" and isinstance(node, ast.If) and len(inner) == 1 and isinstance(inner[0], ast.If)
            deepest = max(deepest, nesting(inner) + (costs and not is_elif) if inner else int(costs))
    return deepest


def broad_excepts(tree: ast.AST, path: str) -> Iterator[str]:
    """Handlers and suppressions that take everything, outside the edges."""
    if path.startswith(EDGES):
        return
    for node in ast.walk(tree):
        caught: list[ast.expr] = []
        if isinstance(node, ast.ExceptHandler):
            caught = [node.type or ast.Name("BaseException")]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "suppress":
            caught = node.args
        names = {name.id for kind in caught for name in ast.walk(kind) if isinstance(name, ast.Name)}
        if names & {"Exception", "BaseException"}:
            yield f"{path}:{node.lineno} catches everything"


def import_time_work(tree: ast.Module, path: str) -> Iterator[str]:
    """Statements at module level that do more than import, define or name a constant."""
    for node in tree.body:
        definition = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        guard = is_main_guard(node) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        if isinstance(node, definition) or docstring or guard:
            continue
        if isinstance(node, ast.If) and "sys.version_info" in ast.unparse(node.test):  # each branch is looked at alike
            yield from import_time_work(ast.Module([*node.body, *node.orelse], []), path)
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        named = all(isinstance(target, ast.Name | ast.Tuple) for target in targets)
        if not (named and isinstance(node, ast.Assign | ast.AnnAssign)):
            yield f"{path}:{node.lineno} does work at import: {ast.unparse(node).splitlines()[0]}"
            continue
        for call in (part for part in ast.walk(node) if isinstance(part, ast.Call)):
            name = ast.unparse(call.func).split(".")[-1]
            if name not in PURE.split() and not name.lstrip("_")[:1].isupper():
                yield f"{path}:{node.lineno} calls {ast.unparse(call.func)} at import"


PRODUCT = sources("lora_trainer", "scripts", "worlds", "benchmarks", "launch.py", "install.py")
RULES: tuple[Callable[[ast.Module, str], Iterator[str]], ...] = (wrong_imports, over_budget, broad_excepts)


def check(path: str, tree: ast.Module) -> list[str]:
    """Everything that is wrong with one file."""
    found = [problem for rule in RULES for problem in rule(tree, path)]
    return found + (list(import_time_work(tree, path)) if path.startswith("lora_trainer/") else [])


@pytest.mark.parametrize("path", PRODUCT)
def test_file_keeps_the_rules(path: str) -> None:
    lines = (ROOT / path).read_text(encoding="utf-8").count("\n")
    limit = MAX_TAB_SCRIPT if path.startswith("scripts/") else MAX_FILE
    too_long = [f"{path} has {lines} lines, more than {limit}"] if lines > limit else []
    assert not (too_long + check(path, parse(path)))


def test_every_room_has_a_level() -> None:
    homeless = [path for path in sources("lora_trainer") if level(module_name(path)) is None]
    assert not homeless, "give them a level in LEVELS"


BROKEN = {
    ("lora_trainer/job.py", "from modules import shared"): "only lora_trainer/host may",
    ("lora_trainer/dataset/scan.py", "def f():\n    import modules.sd_models"): "only lora_trainer/host may",
    ("lora_trainer/adapter/names.py", "import networks"): "only lora_trainer/host may",
    ("lora_trainer/host/webui.py", "import gradio as gr"): "only lora_trainer/ui may",
    ("lora_trainer/api/runs.py", "import gradio as gr"): "only lora_trainer/ui may",
    ("worlds/sprites/draw.py", "from fastapi import FastAPI"): "only lora_trainer/ui and lora_trainer/api may",
    ("launch.py", "import numpy"): "before anything is installed",
    ("install.py", "import launch"): "before anything is installed",
    ("lora_trainer/settings.py", "from lora_trainer.checkpoint import adopt"): "level 0 imports level 1",
    ("lora_trainer/training/loop.py", "from .. import job"): "level 2 imports level 3",
    ("lora_trainer/training/loop.py", "from ..ui.tab import build"): "level 2 imports level 5",
    ("lora_trainer/job.py", "from lora_trainer.host.webui import WebUI"): "level 3 imports level 4",
    ("lora_trainer/dataset/scan.py", "import lora_trainer.attic"): "give lora_trainer.attic a level",
    ("lora_trainer/training/loop.py", "import worlds.sprites"): "only the demo",
    ("lora_trainer/ui/tab.py", "import worlds.sprites"): "only the demo",
    ("worlds/sprites/draw.py", "from lora_trainer.checkpoint import adopt"): "a world's training scripts",
    ("worlds/sprites/fit.py", "import lora_trainer.job\nif __name__ == '__main__': pass"): "a world's training scripts",
    ("lora_trainer/run.py", "def f():\n" + "    x = 1\n" * 60): "61 lines",
    ("lora_trainer/run.py", "def f(self, a, b, c, d, *, e, f): ..."): "takes 6 parameters",
    ("lora_trainer/run.py", "def f():\n for a in b:\n  if a:\n   while a:\n    if a: pass"): "nests 4 deep",
    ("lora_trainer/run.py", "def f():\n    global x"): "global statement",
    ("lora_trainer/run.py", "try: pass\nexcept: pass"): "catches everything",
    ("launch.py", "try: pass\nexcept (OSError, Exception): pass"): "catches everything",
    ("lora_trainer/run.py", "def f():\n    with contextlib.suppress(Exception): pass"): "catches everything",
    ("lora_trainer/run.py", "TEXT = open('x').read()"): "calls open",
    ("lora_trainer/run.py", "print('hello')"): "does work at import",
    ("lora_trainer/run.py", "os.environ['A'] = '1'"): "does work at import",
    ("lora_trainer/run.py", "for x in y: pass"): "does work at import",
    ("lora_trainer/run.py", "if sys.version_info >= (3, 11): open('x')"): "does work at import",
}
ALLOWED = {
    "lora_trainer/host/webui.py": "from modules import shared\ndef f():\n try: pass\n except Exception: pass",
    "lora_trainer/ui/tab.py": "import gradio as gr\nfrom lora_trainer.job import Job\nfrom ..host import standalone",
    "lora_trainer/job.py": "from .host.protocol import Host\nfrom . import __version__\nimport lora_trainer.run",
    "lora_trainer/demo.py": "from worlds.sprites import draw",
    "worlds/sprites/training/text.py": "from lora_trainer.checkpoint.tokenizer import clip_tokenizer",
    "worlds/sprites/fit.py": "from lora_trainer.checkpoint import adopt\nif __name__ == '__main__': pass",
    "lora_trainer/run.py": "A = re.compile('x')\nB: Final = (Path('a'), Row(1))\nif TYPE_CHECKING: import torch",
    "lora_trainer/settings.py": "if sys.version_info >= (3, 11):\n import tomllib\nelse:\n import tomli as tomllib",
    "lora_trainer/events.py": "def f(self, a, b, c, d, e):\n if a: pass\n elif b: pass\n elif c:\n  for x in y: pass",
}


@pytest.mark.parametrize(("path", "text", "complaint"), [(*key, value) for key, value in BROKEN.items()])
def test_a_breach_is_seen(path: str, text: str, complaint: str) -> None:
    assert complaint in "\n".join(check(path, ast.parse(text)))


@pytest.mark.parametrize(("path", "text"), ALLOWED.items())
def test_what_is_allowed_passes(path: str, text: str) -> None:
    assert check(path, ast.parse(text)) == []
