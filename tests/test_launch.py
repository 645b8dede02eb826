"""launch.py: run for real on a small project of its own, with packages made on the spot and no network."""

from __future__ import annotations

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

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = """
import importlib.metadata, json, os, sys
installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), "prefix": sys.prefix, "installed": installed}))
sys.exit(7 if "--fail" in sys.argv else 0)
"""
STACKS = {"webui-torch.txt": "torch==2.1.2", "webui.txt": "engine==1.0", "test.txt": "checker==1.0"}


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
        shutil.copy(ROOT / "launch.py", self.folder)
        (self.folder / "lora_trainer" / "__init__.py").touch()
        (self.folder / "lora_trainer" / "__main__.py").write_text(PROGRAM, encoding="utf-8")
        for name, line in STACKS.items():
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
    monkeypatch.setattr(launch, "prepare", lambda parts: None)
    seen: list[list[str]] = []
    monkeypatch.setattr(launch, "run", lambda arguments: seen.append(arguments) or 0)
    assert launch.main(arguments) == 0
    assert seen == [["lora_trainer", *started]]


def test_test_runs_every_check_and_fails_when_one_does(launch: ModuleType, monkeypatch, capsys) -> None:
    prepared: list[list[str]] = []
    monkeypatch.setattr(launch, "prepare", prepared.append)
    seen: list[list[str]] = []

    def run(arguments: list[str], folder: Path) -> int:
        seen.append(arguments)
        return int(arguments[0] == failing)

    monkeypatch.setattr(launch, "run", run)
    failing = "mypy"
    assert launch.main(["test", "-k", "name"]) == 1
    assert prepared == [["torch", "webui", "test"]]
    assert seen == [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["pytest", "-k", "name"]]
    summary = capsys.readouterr().out.splitlines()[-4:]
    assert [line.split()[-3] for line in summary] == ["ok", "ok", "FAILED", "ok"]
    failing = "nothing"
    assert launch.main(["test"]) == 0


def test_a_fitting_python_is_looked_for(launch: ModuleType, monkeypatch) -> None:
    monkeypatch.setattr(launch, "candidates", lambda: iter([["no-such-python"], [sys.executable]]))
    assert launch.find_python() == [sys.executable]


def test_without_a_fitting_python_it_says_what_was_found_and_what_to_install(launch: ModuleType, monkeypatch) -> None:
    monkeypatch.setattr(launch, "candidates", lambda: iter([["no-such-python"], [sys.executable], [sys.executable]]))
    monkeypatch.setattr(launch, "PROBE", launch.PROBE.replace("3.1", "3.99"))
    with pytest.raises(SystemExit) as stop:
        launch.find_python()
    version = "{}.{}.{}".format(*sys.version_info[:3])
    assert str(stop.value).count(f"{version} ({sys.executable})") == 1
    assert "Install Python 3.11 from python.org" in str(stop.value)


def test_usual_folders_are_searched(launch: ModuleType, monkeypatch, tmp_path) -> None:
    found = tmp_path / ".pyenv" / "versions" / "3.10.13" / "bin" / "python"
    found.parent.mkdir(parents=True)
    found.touch()
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert [str(found)] in list(launch.candidates())


@pytest.mark.parametrize("name", ["webui.txt", "webui-torch.txt", "test.txt"])
def test_every_requirement_is_pinned_once_for_each_python(name: str) -> None:
    lines = (ROOT / "lora_trainer" / "stacks" / name).read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.match(r"[\w.-]+==[\w.]+(; .+)?$", pin) for pin in pins)
    names = [pin.split("==")[0].lower() for pin in pins]
    assert all("python_version" in pin for pin in pins if names.count(pin.split("==")[0].lower()) > 1)
    assert not [pin for pin in pins if pin.startswith(("nvidia-", "triton"))], "torch brings its own"


def test_ci_runs_the_same_command() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1].endswith("launch.py test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK) or sys.platform == "win32"
