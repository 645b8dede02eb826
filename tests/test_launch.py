"""launch.py: run for real on a small project of its own, with packages made on the spot and no network."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from lora_trainer.stacks import environment as environments
from lora_trainer.stacks import finding

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = """
import importlib.metadata, json, os, sys
installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), "prefix": sys.prefix, "installed": installed}))
sys.exit(7 if "--fail" in sys.argv else 0)
"""
LISTS = {
    "webui-torch.txt": "torch==2.1.2",
    "webui.txt": "engine==1.0",
    "test.txt": "checker==1.0",
    "current-torch.txt": "torch==2.3.1",
    "current.txt": "engine==2.0\nneedy==1.0",
}
BARE = ("launch.py", *(f"lora_trainer/stacks/{name}.py" for name in ("__init__", "environment", "finding", "speech")))
RUNNING = "{}.{}".format(*sys.version_info[:2])


class Checks(NamedTuple):
    """What `test` prepared and ran, each with the environment's folder, and the programs that fail."""

    prepared: list[tuple[str, list[str]]]
    run: list[tuple[str, list[str]]]
    failing: set[str]


class Project:
    """A copy of launch.py with a package that tells how it was started, in a folder named with a blank and 中文."""

    def __init__(self, folder: Path, shelf: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.shelf, self.environment = folder, shelf, environment
        self.stacks = folder / "lora_trainer" / "stacks"
        windows = sys.platform == "win32"
        version = "python{}.{}".format(*sys.version_info[:2])
        self.packages = folder / ".venv" / ("Lib/site-packages" if windows else f"lib/{version}/site-packages")

    def lay_out(self) -> None:
        self.stacks.mkdir(parents=True)
        for path in BARE:
            shutil.copy(ROOT / path, self.folder / path)
        (self.folder / "lora_trainer" / "__init__.py").touch()
        for program in ("lora_trainer/__main__.py", "pytest.py"):
            (self.folder / program).write_text(PROGRAM, encoding="utf-8")
        for name, line in LISTS.items():
            (self.stacks / name).write_text(f"# {name}\n{line}\n", encoding="utf-8")

    def launch(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(self.folder / "launch.py"), *arguments],
            capture_output=True,
            encoding="utf-8",
            env={**self.environment, "PIP_FIND_LINKS": str(self.shelf), **variables},
            cwd=self.folder.parent,
            timeout=120,
            check=False,
        )

    def told(self, *arguments: str, **variables: str) -> dict[str, object]:
        """What the started package told about itself."""
        done = self.launch(*arguments, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def installed(self, *arguments: str, **variables: str) -> dict[str, str]:
        versions = self.told(*(arguments or ("demo",)), **variables)["installed"]
        assert isinstance(versions, dict)
        return {name: version for name, version in versions.items() if name not in ("pip", "setuptools")}

    def break_pip(self) -> None:
        """Whoever calls pip from now on fails."""
        (self.packages / "pip" / "__main__.py").write_text(
            "raise SystemExit('ERROR: pip was called')", encoding="utf-8"
        )


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, make_wheel) -> Path:
    folder = tmp_path_factory.mktemp("shelf")
    for name, version in (
        ("torch", "2.1.2"),
        ("torch", "2.3.1"),
        ("engine", "1.0"),
        ("engine", "2.0"),
        ("checker", "1.0"),
    ):
        make_wheel(folder, name, version)
    make_wheel(folder, "needy", "1.0", ["not-on-the-shelf"])
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory, shelf, offline_environment) -> tuple[Project, subprocess.CompletedProcess[str]]:
    """A project after its first start, with what that start printed. Tests that change it take `project`."""
    project = Project(tmp_path_factory.mktemp("first") / "my 训练", shelf, offline_environment)
    project.lay_out()
    return project, project.launch("demo", "--steps", "3")


@pytest.fixture
def project(fresh, tmp_path, shelf, offline_environment) -> Project:
    """A copy of the installed project: an environment may be moved along with its folder."""
    shutil.copytree(fresh[0].folder, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy", shelf, offline_environment)


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("launch_under_test", ROOT / "launch.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    return module


def test_first_start_installs_and_runs(fresh) -> None:
    project, done = fresh
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["arguments"] == ["demo", "--steps", "3"]
    assert Path(told["prefix"]) == project.folder / ".venv"
    assert Path(told["folder"]) == project.folder.parent  # paths on the command line stay what the user means
    assert told["installed"].items() >= {"torch": "2.1.2", "engine": "1.0"}.items()
    assert "checker" not in told["installed"]
    assert len(done.stdout.splitlines()) <= 5  # terse: pip's own lines are in the log
    assert "Successfully installed" in (project.folder / ".venv" / "install.log").read_text(encoding="utf-8")


def test_second_start_calls_no_pip_and_costs_nothing(project: Project) -> None:
    project.break_pip()
    before = os.times()
    project.told("demo")
    after = os.times()  # processor time, so that a busy machine does not count
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1.0


def test_rewording_a_comment_installs_nothing(project: Project) -> None:
    project.break_pip()
    (project.stacks / "webui.txt").write_text("# other words\n\nengine==1.0\n", encoding="utf-8")
    project.told("demo")


def test_a_changed_list_is_installed(project: Project) -> None:
    (project.stacks / "webui.txt").write_text("engine==2.0\n", encoding="utf-8")
    assert project.installed() == {"torch": "2.1.2", "engine": "2.0"}


def test_a_failed_install_is_explained_and_taken_up_again(project: Project, make_wheel, tmp_path) -> None:
    (project.stacks / "webui.txt").write_text("engine==1.0\nlate==1.0\n", encoding="utf-8")
    failed = project.launch("demo")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert "could not be installed. Could not find a version that satisfies the requirement late==1.0" in failed.stderr
    assert "install.log; correct the cause and start again" in failed.stderr

    make_wheel(tmp_path, "late", "1.0")
    repaired = project.launch("demo", PIP_FIND_LINKS=f"{project.shelf} {tmp_path}")
    assert repaired.returncode == 0
    assert "torch, torchvision" not in repaired.stdout  # what was finished is not done again
    assert project.installed() == {"torch": "2.1.2", "engine": "1.0", "late": "1.0"}


def test_a_half_written_package_is_written_again(project: Project) -> None:
    """As a killed pip leaves it: the files and METADATA are there, RECORD is not, and the stamp says unfinished."""
    (project.packages / "engine-1.0.dist-info" / "RECORD").unlink()
    (project.packages / "engine.py").write_text("half", encoding="utf-8")
    stamp = project.folder / ".venv" / "lora-trainer.json"
    stamp.write_text(
        json.dumps({**json.loads(stamp.read_text(encoding="utf-8")), "webui": "unfinished"}), encoding="utf-8"
    )
    project.told("demo")
    assert "__version__" in (project.packages / "engine.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", ["no stamp", "torn stamp", "no python"])
def test_a_damaged_environment_is_repaired(project: Project, damage: str) -> None:
    environment = project.folder / ".venv"
    if damage == "no stamp":
        (environment / "lora-trainer.json").unlink()
    elif damage == "torn stamp":
        (environment / "lora-trainer.json").write_text('{"torch": ', encoding="utf-8")
    else:
        shutil.rmtree(environment / ("Scripts" if sys.platform == "win32" else "bin"))
    assert project.installed() == {"torch": "2.1.2", "engine": "1.0"}


def test_an_unreachable_index_is_named(project: Project, tmp_path) -> None:
    (project.stacks / "webui.txt").write_text("elsewhere==1.0\n", encoding="utf-8")
    nowhere = {"PIP_NO_INDEX": "0", "PIP_RETRIES": "1", "INDEX_URL": "http://127.0.0.1:9/simple", "no_proxy": "*"}
    failed = project.launch("demo", **nowhere)
    assert failed.returncode == 1
    assert "The package index can not be reached. Check the network, or set PIP_INDEX_URL" in failed.stderr


def test_torch_command_is_honoured_and_remembered(project: Project) -> None:
    command = "pip install torch==2.3.1"
    assert project.installed(TORCH_COMMAND=command)["torch"] == "2.3.1"
    project.break_pip()
    assert project.installed(TORCH_COMMAND=command)["torch"] == "2.3.1"
    assert project.installed()["torch"] == "2.3.1"  # forgetting the variable does not bring the other build back


def test_torch_command_replaces_a_build_of_the_same_version(project: Project, make_wheel, tmp_path) -> None:
    make_wheel(tmp_path, "torch", "2.1.2+cu121")
    command = f'pip install torch==2.1.2 --find-links "{tmp_path}"'
    assert project.installed(TORCH_COMMAND=command)["torch"] == "2.1.2+cu121"


def test_an_odd_torch_command_is_refused(project: Project) -> None:
    (project.stacks / "webui.txt").write_text("engine==2.0\n", encoding="utf-8")
    refused = project.launch("demo", TORCH_COMMAND="conda update pytorch")
    assert refused.returncode == 1
    assert "TORCH_COMMAND is not a pip install command: conda update pytorch" in refused.stderr


def test_settings_that_lead_pip_elsewhere_are_left_out(project: Project, tmp_path) -> None:
    (project.stacks / "webui.txt").write_text("engine==2.0\n", encoding="utf-8")
    assert project.installed(PIP_TARGET=str(tmp_path / "elsewhere"), PIP_USER="1")["engine"] == "2.0"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(RUNNING not in environments.STACKS["current"].versions, reason="it has another Python")
def test_the_current_stack_has_an_environment_of_its_own(project: Project) -> None:
    done = project.launch("test", "--stack", "current", "-q", LC_ALL="C.UTF-8")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert Path(told["prefix"]) == project.folder / ".venv-current"
    assert Path(told["folder"]) == project.folder
    assert told["arguments"][-1] == "-q"
    assert told["installed"].items() >= {"torch": "2.3.1", "engine": "2.0", "needy": "1.0"}.items()
    assert project.installed() == {"torch": "2.1.2", "engine": "1.0"}  # the other one is left as it was

    command = "pip install torch==2.1.2"
    again = project.launch("test", "--stack", "current", "--fail", TORCH_COMMAND=command)
    assert again.returncode == 1
    assert '"torch": "2.1.2", ' in again.stdout or '"torch": "2.1.2"}' in again.stdout


def test_exit_code_of_the_trainer_is_ours(project: Project) -> None:
    assert project.launch("demo", "--fail").returncode == 7


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "cp936", "ascii"])
@pytest.mark.parametrize("language", ["en_US.UTF-8", "zh_CN.UTF-8"])
def test_usage_on_any_console(tmp_path, shelf, offline_environment, encoding: str, language: str) -> None:
    project = Project(tmp_path / "untouched", shelf, offline_environment)
    project.lay_out()
    command = [sys.executable, str(project.folder / "launch.py")]
    variables = {**offline_environment, "PYTHONIOENCODING": encoding, "LC_ALL": language}
    unknown = subprocess.run([*command, "trian"], capture_output=True, env=variables, check=False)
    asked = subprocess.run([*command, "--help"], capture_output=True, env=variables, check=False)
    assert (unknown.returncode, asked.returncode) == (2, 0)
    assert unknown.stdout == asked.stdout
    assert b"launch.py [run] [--port 7861]" in asked.stdout
    if encoding in ("utf-8", "cp936"):
        assert ("训练" in asked.stdout.decode(encoding)) == language.startswith("zh")
    assert not (project.folder / ".venv").exists()


@pytest.mark.parametrize(
    ("arguments", "started"),
    [
        ([], ["serve", "--port", "7861"]),
        (["run"], ["serve", "--port", "7861"]),
        (["--port", "9000"], ["serve", "--port", "9000"]),
        (["run", "--port=9000", "--listen"], ["serve", "--port=9000", "--listen"]),
        (["demo", "run"], ["demo", "run"]),
    ],
)
def test_what_is_started(launch: ModuleType, monkeypatch, arguments: list[str], started: list[str]) -> None:
    monkeypatch.setattr(environments.Environment, "prepare", lambda self, parts: prepared.append(parts))
    monkeypatch.setattr(environments.Environment, "run", lambda self, arguments: seen.append(arguments) or 0)
    prepared: list[list[str]] = []
    seen: list[list[str]] = []
    assert launch.main(arguments) == 0
    assert prepared == [["torch", "webui"]]
    assert seen == [["lora_trainer", *started]]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    """Every check is noted and passes, but for those that are named as failing."""
    checks = Checks([], [], set())

    def run(self: environments.Environment, arguments: list[str], folder: Path) -> int:
        checks.run.append((self.folder.name, arguments))
        return int(arguments[0] in checks.failing)

    monkeypatch.setattr(
        environments.Environment, "prepare", lambda self, parts: checks.prepared.append((self.folder.name, parts))
    )
    monkeypatch.setattr(environments.Environment, "run", run)
    return checks


@pytest.mark.parametrize("options", [[], ["--stack", "webui"]])
def test_test_runs_every_check_and_fails_when_one_does(launch: ModuleType, checks, capsys, options: list[str]) -> None:
    checks.failing.add("mypy")
    assert launch.main(["test", *options, "-k", "name"]) == 1
    assert checks.prepared == [(".venv", ["torch", "webui", "test"])]
    commands = ["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["pytest", "-k", "name"]
    assert checks.run == [(".venv", command) for command in commands]
    summary = capsys.readouterr().out.splitlines()[-4:]
    assert [line.split()[-3] for line in summary] == ["ok", "ok", "FAILED", "ok"]
    checks.failing.clear()
    assert launch.main(["test", *options]) == 0


@pytest.mark.parametrize("options", [["--stack", "current", "-k", "a b"], ["-k", "a b", "--stack=current"]])
def test_the_current_stack_runs_the_engines_tests(launch: ModuleType, checks, options: list[str]) -> None:
    assert launch.main(["test", *options]) == 0
    assert checks.prepared == [(".venv-current", ["torch", "current"])]
    [(folder, (program, *told))] = checks.run
    assert (folder, program, told[-2:]) == (".venv-current", "pytest", ["-k", "a b"])
    left_out = [option.partition("=")[2] for option in told[:-2]]
    assert {"tests/ui", "tests/webui"} <= set(left_out)
    assert [path for path in left_out if (ROOT / path).exists()] == left_out
    checks.failing.add("pytest")
    assert launch.main(["test", *options]) == 1


@pytest.mark.parametrize("options", [["--stack"], ["--stack", "newest"], ["--stack="]])
def test_an_unknown_stack_is_refused(launch: ModuleType, checks, capsys, options: list[str]) -> None:
    assert launch.main(["test", *options]) == 2
    assert "launch.py test --stack current" in capsys.readouterr().out
    assert not checks.prepared


def test_a_fitting_python_is_looked_for(monkeypatch) -> None:
    monkeypatch.setattr(finding, "candidates", lambda versions: iter([["no-such-python"], [sys.executable]]))
    assert finding.find_python((RUNNING,), ("", "")) == [sys.executable]


@pytest.mark.parametrize("stack", environments.STACKS)
def test_without_a_fitting_python_it_says_what_was_found_and_what_to_install(monkeypatch, stack: str) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    probe, wanted = finding.probe, environments.STACKS[stack]
    met = [["no-such-python"], [sys.executable], [sys.executable]]
    monkeypatch.setattr(finding, "candidates", lambda versions: iter(met))
    monkeypatch.setattr(finding, "probe", lambda command, versions, needs: probe(command, ("3.99",), needs))
    with pytest.raises(SystemExit) as stop:
        finding.find_python(wanted.versions, wanted.because)
    version = "{}.{}.{}".format(*sys.version_info[:3])
    assert str(stop.value).count(f"{version} ({sys.executable})") == 1
    assert wanted.because[0] in str(stop.value)
    assert "Install Python 3.11 from python.org" in str(stop.value)


def test_usual_folders_are_searched(monkeypatch, tmp_path) -> None:
    found = tmp_path / ".pyenv" / "versions" / "3.10.13" / "bin" / "python"
    found.parent.mkdir(parents=True)
    found.touch()
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert [str(found)] in list(finding.candidates(("3.11", "3.10")))


@pytest.mark.parametrize("name", LISTS)
def test_every_requirement_is_pinned_once_for_each_python(name: str) -> None:
    lines = (ROOT / "lora_trainer" / "stacks" / name).read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.match(r"[\w.-]+==[\w.]+(; .+)?$", pin) for pin in pins)
    names = [pin.split("==")[0].lower() for pin in pins]
    assert all("python_version" in pin for pin in pins if names.count(pin.split("==")[0].lower()) > 1)
    assert not [pin for pin in pins if pin.startswith(("nvidia-", "triton"))], "torch brings its own"


def test_both_stacks_test_with_the_same_pytest() -> None:
    lists = (
        (ROOT / "lora_trainer" / "stacks" / name).read_text(encoding="utf-8") for name in ("test.txt", "current.txt")
    )
    test, current = (re.findall(r"^pytest==.+$", text, re.MULTILINE) for text in lists)
    assert test == current != []


@pytest.mark.parametrize("path", ["lora_trainer/__init__.py", *BARE])
def test_what_runs_before_anything_is_installed_is_read_by_an_old_python_and_needs_no_package(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"), feature_version=(3, 8))
    absolute = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    absolute += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    foreign = [name for name in absolute if name.split(".")[0] not in sys.stdlib_module_names]
    assert all(name.startswith("lora_trainer.stacks.") for name in foreign)


@pytest.mark.parametrize("failing", ["", "test", "test --stack current"])
def test_ci_runs_both_stacks_and_fails_when_one_does(tmp_path, failing: str) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    (tmp_path / "launch.py").write_text(
        "import os, sys\ntold = ' '.join(sys.argv[1:])\nprint(told)\nsys.exit(told == os.environ['FAILING'])\n",
        encoding="utf-8",
    )
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("there is no bash")
    done = subprocess.run(
        [bash, str(tmp_path / ".ci" / "run")],
        capture_output=True,
        text=True,
        env={**os.environ, "FAILING": failing},
        check=False,
    )
    assert done.stdout.splitlines() == ["test", "test --stack current"]
    assert done.returncode == (1 if failing else 0)
    assert os.access(ROOT / ".ci" / "run", os.X_OK) or sys.platform == "win32"
