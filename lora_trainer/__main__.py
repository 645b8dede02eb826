"""The command line: ``python -m lora_trainer --help``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_trainer.commandline import parser, settings_of
from lora_trainer.errors import BadSettings, UserError
from lora_trainer.language import system_language, translate
from lora_trainer.settings import Settings, changed
from lora_trainer.settings_file import to_toml

if TYPE_CHECKING:
    from lora_trainer.host.worker import Worker
    from lora_trainer.run import Run
    from lora_trainer.training.processes import Team

    Start = Callable[[Worker], Run]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 when it did what was asked, 1 when it could not, 2 when it was asked wrongly, 130 when
    interrupted."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # consoles that cannot show a character
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells every CPU that it is no GPU
    options = parser().parse_args(arguments)
    language = options.language or system_language()
    try:
        return COMMANDS[options.command](options, language)
    except UserError as error:
        print(error.text(language), file=sys.stderr)
        if options.json:
            print(json.dumps({"error": error.key, "message": error.text(language)}, ensure_ascii=False))
        return 1


def train(options: argparse.Namespace, language: str) -> int:
    """Train, compare and choose."""
    from lora_trainer.checkpoint.precision import choose_device
    from lora_trainer.training.optimizer_advice import advice
    from lora_trainer.training.processes import team_of

    settings = settings_of(options)
    if options.print_config:
        print(to_toml(settings), end="")
        return 0
    if options.export_kohya:
        return _export(settings, options, language)
    for warning in advice(settings.optimizer):
        print(warning.text(language), file=sys.stderr)
    team = team_of(choose_device(settings.training.device))
    if not team.first:
        return _assist(settings, language, team)
    return _run(lambda worker: worker.start(settings, language, team), options, language)


def go_on(options: argparse.Namespace, language: str) -> int:
    """Go on with a run."""
    from lora_trainer.run import Run

    if not (options.run / "run.json").is_file():
        raise BadSettings("run_missing", folder=options.run)
    return _run(lambda worker: worker.resume(Run(options.run.absolute()), language), options, language)


def show(options: argparse.Namespace, language: str) -> int:
    """Show another program's config, or a LoRA's, as settings."""
    from lora_trainer.interop import import_file
    from lora_trainer.interop.listing import to_commented_toml, to_dict

    imported = import_file(options.file)
    print(to_commented_toml(imported, options.file.name, language), end="")
    if options.json:
        print(json.dumps(to_dict(imported, language), ensure_ascii=False))
    return 0


def dataset(options: argparse.Namespace, language: str) -> int:
    """Something with a folder of images."""
    from lora_trainer.dataset_commands import run

    status, results = run(options, language, print)
    if options.json:
        print(json.dumps(results, ensure_ascii=False))
    return status


def demo(options: argparse.Namespace, language: str) -> int:
    """The main job on the shipped world."""
    from lora_trainer.demo import demo_settings, judge

    settings = settings_of(options, **demo_settings(options.character, options.home))

    def start(worker: Worker) -> Run:
        return worker.start(settings, language)

    return _run(start, options, language, judge=lambda folder: judge(folder, options.character))


def grid(options: argparse.Namespace, language: str) -> int:
    """Draw the grid of a folder of LoRA files."""
    return _compare(options, language, draw=True)


def pick(options: argparse.Namespace, language: str) -> int:
    """Pick the best of a folder of LoRA files."""
    return _compare(options, language, draw=False)


def serve(options: argparse.Namespace, language: str) -> int:
    """Open the tab without a WebUI."""
    from lora_trainer.demo import CHECKPOINT
    from lora_trainer.host.standalone import StandaloneHost
    from lora_trainer.host.worker import Worker
    from lora_trainer.ui.standalone import serve as serve_tab

    host = StandaloneHost(options.home, Path(options.checkpoint) if options.checkpoint else CHECKPOINT)
    serve_tab(Worker(host), options.port, not options.no_browser)
    return 0


def _assist(settings: Settings, language: str, team: Team) -> int:
    """Take part in a run of several processes, of which another one writes and speaks."""
    from lora_trainer.host.standalone import StandaloneHost
    from lora_trainer.host.worker import Worker

    with tempfile.TemporaryDirectory() as scratch:
        worker = Worker(StandaloneHost(Path(scratch)))
        worker.start(changed(settings, out="", grid=False), language, team)
        worker.wait()
    return 0


def _run(start: Start, options: argparse.Namespace, language: str, judge: Any = None) -> int:
    from lora_trainer.console import Console
    from lora_trainer.host.standalone import StandaloneHost
    from lora_trainer.host.worker import Worker

    console = Console(language)
    worker = Worker(StandaloneHost(options.home, on_event=console))
    run = start(worker)
    try:
        while not worker.wait(0.2):
            pass
    except KeyboardInterrupt:
        print(translate("console.stopping", language), file=sys.stderr)
        worker.commands.stop_now()
        worker.wait()
    status = console.status
    results: dict[str, Any] = {
        "state": status.state,
        "run": str(run.folder),
        "files": [path for _, path in status.files],
        "losses": _losses(status.validated),
        "epoch": status.chosen.get("epoch"),
        "weight": status.chosen.get("weight"),
        "lora": status.chosen.get("lora"),
        "reasons": list(status.chosen.get("reasons", ())),
        "grid": str(run.folder / status.sheet) if status.sheet else None,
        "report": str(run.folder / status.report) if status.report else None,
    }
    if judge and status.sheet:
        results["oracle"] = judge(run.folder)
    _print_results(results, options, language)
    return {"finished": 0, "stopped": 130}.get(status.state, 1)


def _export(settings: Settings, options: argparse.Namespace, language: str) -> int:
    from lora_trainer.interop.exporting import to_kohya, write_kohya
    from lora_trainer.interop.listing import note_lines

    exported = to_kohya(settings)
    paths = [str(path) for path in write_kohya(exported, options.export_kohya)]
    print(translate("interop.exported", language, paths=", ".join(paths)))
    for line in note_lines(exported.notes, language):
        print(f"  - {line}")
    if options.json:
        print(json.dumps({"files": paths, "notes": note_lines(exported.notes, language)}, ensure_ascii=False))
    return 0


def _compare(options: argparse.Namespace, language: str, draw: bool) -> int:
    from lora_trainer.compare_files import compare_files
    from lora_trainer.console import Console
    from lora_trainer.host.standalone import StandaloneHost

    console = Console(language)
    settings = settings_of(options)
    results = compare_files(options.folder, settings, StandaloneHost(options.home), draw=draw, on_event=console)
    _print_results(results.to_dict(language), options, language)
    return 0


def _losses(validated: Iterable[tuple[int, float, float]]) -> list[dict[str, float]]:
    return [{"epoch": epoch, "held_out": held_out, "train": train} for epoch, held_out, train in validated]


def _print_results(results: dict[str, Any], options: argparse.Namespace, language: str) -> None:
    if results["epoch"] is not None:
        print(translate("console.chosen", language, epoch=results["epoch"], weight=results["weight"]))
        for reason in results["reasons"]:
            print(f"  - {reason}")
    for name in ("lora", "grid", "report"):
        if results.get(name):
            print(translate(f"console.path_{name}", language, path=results[name]))
    if results.get("oracle"):
        print(translate("console.oracle", language, **results["oracle"]))
    if options.json:
        print(json.dumps(results, ensure_ascii=False))


COMMANDS: dict[str, Callable[[argparse.Namespace, str], int]] = {
    "train": train,
    "continue": go_on,
    "grid": grid,
    "pick": pick,
    "import": show,
    "dataset": dataset,
    "demo": demo,
    "serve": serve,
}

if __name__ == "__main__":
    sys.exit(main())
