"""One run of a sweep, wherever it is done: begun, resumed, measured or found finished, with a line for each step.

All is decided by what lies in the run folder, so a run can be taken up by any process at any time. A lock keeps two
processes from one run, and the journal beside it says who did what: it is only ever appended to.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from goalmaze.agents.files import append
from goalmaze.agents.training.log import read_log
from goalmaze.agents.training.recipe import recipe_from
from goalmaze.agents.training.run import FinishedError, TrainingResult, resume, train
from goalmaze.agents.training.run_lock import held
from goalmaze.agents.training.training_state import STATE
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import load_extension, loaded_extensions
from goalmaze.experiments.common.run_report import read_report
from goalmaze.experiments.train.command import measure

JOURNAL, LOCK = "journal", "sweep.lock"
POLL_SECONDS = 0.5

FINISHED, INTERRUPTED = "finished", "interrupted"


def order(root: Path, name: str, recipe: Mapping[str, Any], save_every: float) -> dict[str, Any]:
    """Return what a worker is sent to do one run, as plain data: the sweep's folder, the run's name, its recipe."""
    return {
        "root": str(root),
        "name": name,
        "recipe": dict(recipe),
        "save_every": save_every,
        "imports": list(loaded_extensions()),
    }


def carry_out(order: Mapping[str, Any]) -> str:
    """Bring a run from where it stands to its end; return `FINISHED`, or `INTERRUPTED` if told to stop.

    Raises:
        GoalmazeError: the run cannot be trained, or this machine does not see the sweep's folder.
    """
    root, name = Path(order["root"]), str(order["name"])
    for extension in order["imports"]:
        load_extension(extension)
    if not (root / LOCK).is_file():
        raise GoalmazeError(
            f"{socket.gethostname()} does not see {root}; put --out on a file system that all workers share"
        )
    journal = root / JOURNAL / f"{name}.jsonl"
    journal.touch()
    with claimed(journal):
        if report_of(root / name) is not None:
            return FINISHED
        training = _trained(root / name, order, journal)
        if training.interrupted:
            _note(journal, "interrupted", training.steps)
            return INTERRUPTED
        _note(journal, "trained", training.steps)
        measure(training)
        _note(journal, FINISHED, training.steps)
        return FINISHED


def _trained(folder: Path, order: Mapping[str, Any], journal: Path) -> TrainingResult:
    """Train a run from its last save, or anew where there is none."""
    if (folder / STATE).is_file():
        _note(journal, "resumed", steps_of(folder))
        try:
            return resume(folder, save_every=order["save_every"])
        except FinishedError as error:
            return error.result
    shutil.rmtree(folder, ignore_errors=True)
    _note(journal, "begun", 0)
    return train(recipe_from(order["recipe"]), folder, save_every=order["save_every"])


@contextlib.contextmanager
def claimed(file: Path) -> Iterator[None]:
    """Hold the lock on a file inside, as soon as whoever holds it has let go or died."""
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held(file))
                break
            except GoalmazeError:
                time.sleep(POLL_SECONDS)
        yield


def report_of(folder: Path) -> dict[str, Any] | None:
    """Return the report of a run that took all its steps and was measured; None of any other."""
    try:
        report = read_report(folder)
        return None if report["interrupted"] else report
    except (OSError, ValueError, KeyError, TypeError):
        return None


def steps_of(folder: Path) -> int:
    """Return the steps on the last whole line of a run's log; 0 where there is none."""
    try:
        return int(read_log(folder)[-1]["steps"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, csv.Error):
        return 0


def read_journal(root: Path, name: str) -> list[dict[str, Any]]:
    """Return the lines of a run's journal, oldest first."""
    path = root / JOURNAL / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def _note(journal: Path, event: str, steps: int) -> None:
    line = {"event": event, "steps": steps, "host": socket.gethostname(), "pid": os.getpid(), "at": time.time()}
    append(journal, json.dumps(line).encode() + b"\n")
