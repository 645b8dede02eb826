"""The WebUI's own tests, with our extension in it and without: ``pytest tests/webui/test_suite.py --webui FOLDER``.

``WEBUI_TEST_PACKAGES`` names a folder with what its requirements-test.txt asks for, where its Python lacks it. Some of
its tests want models that are downloaded; without them they fail without us, too, so the outcomes are compared.
"""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.webui.driver import FLAGS, PATIENCE_S, RUN, Start, WebUI, furnish, launch

pytestmark = [pytest.mark.webui, pytest.mark.slow]

Outcomes = dict[str, str]
MOST_MISSING = 4  # of the suite's tests: two restorers of faces, the interrogator, and restoring in txt2img


class Suite:
    """The suite of the WebUI that the options name."""

    def __init__(self, request: pytest.FixtureRequest, make_folder: Callable[[str], Path]) -> None:
        self.checkpoint = request.config.getoption("--webui-checkpoint")
        wanted = request.config.getoption("--webui", default=None)
        if not wanted or wanted.startswith("http"):
            pytest.skip("no folder of a WebUI is given")
        self.folder, self._make = Path(wanted).resolve(), make_folder
        self.how = Start(self.folder, *[request.config.getoption(f"--webui-{name}") for name in ("python", "args")])
        if not self._has_what_it_needs():
            pytest.skip("the suite needs pytest-base-url: see requirements-test.txt")

    @contextmanager
    def webui(self, *, ours: bool) -> Iterator[WebUI]:
        """A WebUI with our extension, or without."""
        furnish(data := self._make("webui"), self.folder, self.checkpoint, ours=ours)
        started, process = launch(self.how, data)
        yield started
        process.terminate()
        process.wait(60)

    def run(self, webui: WebUI) -> Outcomes:
        """What each of its tests came to. Those that import the WebUI's modules do so with the same extensions."""
        assert webui.data is not None
        report = webui.data / "suite.xml"
        command = [self.how.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        command += ["--base-url", webui.address, "test"]
        arguments = f"{FLAGS} {self.how.arguments} --data-dir {webui.data} --ui-settings-file {webui.data}/config.json"
        told = self._call(command, {"COMMANDLINE_ARGS": arguments, "IGNORE_CMD_ARGS_ERRORS": "1"})
        assert report.is_file(), told
        cases = ElementTree.parse(report).getroot().iter("testcase")
        return {f"{case.get('classname')}.{case.get('name')}": _outcome(case) for case in cases}

    def _has_what_it_needs(self) -> bool:
        return "base_url" in self._call([self.how.python, "-c", "import pytest_base_url; print('base_url')"], {})

    def _call(self, command: list[str], environment: dict[str, str]) -> str:
        packages = os.environ.get("WEBUI_TEST_PACKAGES", "")
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        told = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **offline, **environment, "PYTHONPATH": packages},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
        )
        return told.stdout.decode(errors="replace")


def _outcome(case: ElementTree.Element) -> str:
    problem = next((part for part in case if part.tag in ("failure", "error", "skipped")), None)
    return "passed" if problem is None else f"{problem.tag}: {(problem.get('message') or '').splitlines()[0][:160]}"


@pytest.fixture(scope="module")
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return Suite(request, tmp_path_factory.mktemp)


@pytest.fixture(scope="module")
def plain(suite: Suite) -> Outcomes:
    """What the suite comes to without us."""
    with suite.webui(ours=False) as webui:
        found = suite.run(webui)
    wrong = {name: told for name, told in found.items() if told != "passed"}
    print(f"without us {len(found) - len(wrong)} of {len(found)} pass; the others:", *wrong.items(), sep="\n  ")
    assert len(wrong) <= MOST_MISSING < len(found)
    return found


@pytest.fixture(scope="module")
def webui(suite: Suite, plain: Outcomes) -> Iterator[WebUI]:
    """A WebUI with our extension in it; the one without it has ended."""
    with suite.webui(ours=True) as started:
        assert started.call("/lora_trainer/v1/about")["host"] == "webui"
        yield started


def passed(found: Outcomes) -> dict[str, bool]:
    return {name: told == "passed" for name, told in found.items()}


def test_it_passes_while_we_are_idle(suite: Suite, webui: WebUI, plain: Outcomes) -> None:
    assert passed(suite.run(webui)) == passed(plain)


def test_it_passes_while_a_run_goes_on_and_another_waits(suite: Suite, webui: WebUI, plain: Outcomes) -> None:
    project = _project(webui)
    first = webui.start_run("suite", epochs=1, repeats=20, grid=False)
    webui.call("/lora_trainer/v1/queue", {"project": project})
    webui.wait_for(lambda status: status["id"] == first and status["stage"] == "training" and status["step"] >= 1)
    assert passed(suite.run(webui)) == passed(plain)
    ended = webui.wait_for(lambda status: status["id"] != first and status["state"] != "running")
    assert ended["state"] == "finished", ended["message"]
    assert webui.call(f"/lora_trainer/v1/runs/{first}/status")["state"] == "finished"


def _project(webui: WebUI) -> str:
    """A project whose run may wait."""
    settings: dict[str, Any] = {name: value for name, value in RUN.items() if name != "images"}
    made: str = webui.call("/lora_trainer/v1/projects", {"name": "suitewaits"})["id"]
    task = webui.call(f"/lora_trainer/v1/projects/{made}/import", {"path": RUN["images"]})["task"]
    webui.until(f"/lora_trainer/v1/tasks/{task}", lambda told: told["state"] != "running")
    webui.call(f"/lora_trainer/v1/projects/{made}", {"settings": {**settings, "epochs": 1, "grid": False}}, "PATCH")
    return made
