"""One training run as a job: it is started, resumed, evaluated, or already finished.

The run folder alone decides what is left to do, so any process can continue a run at any time. A lock keeps two
processes from the same run. The journal beside it, which is only appended to, records what each process did.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from goalmaze.agents.files import append, write_atomically, write_json
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.training.finite import NotFiniteError
from goalmaze.agents.training.log import read_log
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import FinishedError, TrainingResult, resume, train
from goalmaze.agents.training.run_lock import LockedError, locked
from goalmaze.agents.training.training_state import STATE
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import load_extension
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.text_files import parse_json, read_json, read_text
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.jobs.report import report_run
from goalmaze.probes.penalties import shipped as _penalties  # noqa: F401  registers them

JOURNAL, LOCK = "journal", "sweep.lock"
POLL_SECONDS = 0.5

FINISHED, INTERRUPTED = "finished", "interrupted"

DIVERGED = "diverged.json"
"""File in the folder of a run whose numbers became NaN or infinite: the reason, and the steps taken."""


@dataclasses.dataclass(frozen=True)
class Task:
    """One run of a sweep or of a population.

    Attributes:
        name: the name of the run folder: the values of dials and seed, and a hash of everything that the plan sets.
        dials: dial → value.
        recipe: the recipe to train.
        after: the run whose agent it starts from; empty for none.
    """

    name: str
    dials: JsonObject
    recipe: Recipe
    after: str = ""

    def recipe_in(self, root: Path) -> Recipe:
        """Return the recipe with the folder that it starts from, in the folder of all runs."""
        return dataclasses.replace(self.recipe, start=str(root / self.after)) if self.after else self.recipe


@dataclasses.dataclass(frozen=True)
class Job:
    """What a worker needs to do one run; it can be pickled.

    Attributes:
        root: the folder of all runs.
        name: the name of the run and of its folder.
        recipe: the recipe to train.
        save_every: seconds between saves of the training state.
        imports: files or modules of the user's own that the worker imports first.
        keep_diverged: whether a run whose numbers become NaN or infinite ends with its last scheduled checkpoint, and
            a file `DIVERGED`, instead of failing.
    """

    root: Path
    name: str
    recipe: Recipe
    save_every: float
    imports: tuple[str, ...] = ()
    keep_diverged: bool = False

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.root / self.name


def run_job(job: Job) -> str:
    """Continue a run to its end; return `FINISHED`, or `INTERRUPTED` after a request to stop.

    Raises:
        GoalmazeError: the run cannot be trained, or this machine cannot see the folder of all runs.
    """
    for extension in job.imports:
        load_extension(extension)
    if not (job.root / LOCK).is_file():
        raise GoalmazeError(
            f"{socket.gethostname()} cannot see {job.root}; put --out on a file system that all workers share"
        )
    # Beside the run folder and not in it: an unfinished run folder without a save is removed below.
    journal = job.root / JOURNAL / f"{job.name}.jsonl"
    journal.touch()
    with waited_lock(journal):
        # Looked up under the lock: another worker may have finished the run in the meantime.
        if finished_report(job.folder) is not None:
            return FINISHED
        try:
            training = _train(job, journal)
        except NotFiniteError as error:
            if not job.keep_diverged:
                raise
            reason = {"reason": f"{error.what} is not finite", "steps": logged_steps(job.folder)}
            write_json(job.folder / DIVERGED, reason)
            training = _end_at_last_checkpoint(job.folder)
        if training.interrupted:
            _write_event(journal, "interrupted", training.steps)
            return INTERRUPTED
        _write_event(journal, "trained", training.steps)
        report_run(training)
        _write_event(journal, FINISHED, training.steps)
        return FINISHED


def _train(job: Job, journal: Path) -> TrainingResult:
    """Train a run from its last save, or from the beginning if it has none."""
    if (job.folder / DIVERGED).is_file():
        # Killed between the end of training and its report.
        return _end_at_last_checkpoint(job.folder)
    if (job.folder / STATE).is_file():
        _write_event(journal, "resumed", logged_steps(job.folder))
        try:
            return resume(job.folder, save_every=job.save_every, device=job.recipe.device)
        except FinishedError as error:
            # Killed between the end of training and its report: only the evaluation is missing.
            return error.result
    # The state is written before the checkpoint, so this is no run that died early, and may be all that is left of one.
    if (job.folder / CHECKPOINT).exists():
        raise GoalmazeError(f"{job.folder} has lost its {STATE}, so it cannot be resumed; remove it to train it again")
    # A run that died before its first save left a folder from which nothing can be resumed.
    shutil.rmtree(job.folder, ignore_errors=True)
    _write_event(journal, "begun", 0)
    return train(job.recipe, job.folder, save_every=job.save_every)


def _end_at_last_checkpoint(folder: Path) -> TrainingResult:
    """Make the last scheduled checkpoint of a run that diverged its final one, and return how the run ended.

    The time of a save depends on the speed of the machine, the schedule does not: so the same seed always ends with the
    same weights.
    """
    steps, path = list(checkpoint_series(folder).items())[-1]
    write_atomically(folder / CHECKPOINT, path.read_bytes())
    return TrainingResult(folder, steps, _logged_seconds(folder), interrupted=False)


def _logged_seconds(folder: Path) -> float:
    """Return the seconds of training on the last complete line of a run's log; 0 if there is none."""
    try:
        return float(read_log(folder)[-1]["seconds"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, csv.Error):
        return 0.0


def read_diverged(folder: Path) -> str:
    """Return why the training of a run stopped early, such as "a weight is not finite after 4,096 steps", or ""."""
    try:
        content = read_json(folder / DIVERGED)
        return f"{content['reason']} after {int(content['steps']):,} steps"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


@contextlib.contextmanager
def waited_lock(file: Path) -> Iterator[None]:
    """Lock a file inside the context; wait while another process has it locked."""
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(file))
                break
            except LockedError:
                time.sleep(POLL_SECONDS)
        yield


def logged_steps(folder: Path) -> int:
    """Return the environment steps on the last complete line of a run's log; 0 if there is none."""
    try:
        return int(read_log(folder)[-1]["steps"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, csv.Error):
        return 0


def read_journal(root: Path, name: str) -> list[JsonObject]:
    """Return the lines of a run's journal, oldest first, without those that were not written to their end."""
    path, lines = root / JOURNAL / f"{name}.jsonl", []
    for line in read_text(path).splitlines() if path.is_file() else ():
        with contextlib.suppress(ValueError):
            lines.append(parse_json(line))
    return lines


def _write_event(journal: Path, event: str, steps: int) -> None:
    # One write of one line, so that lines of several processes do not mix.
    line = {"event": event, "steps": steps, "host": socket.gethostname(), "pid": os.getpid(), "at": time.time()}
    # A process that was killed while it wrote left a part of a line.
    written = journal.read_bytes()
    begin = b"\n" if written and not written.endswith(b"\n") else b""
    append(journal, begin + json.dumps(line).encode() + b"\n")
