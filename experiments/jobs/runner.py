"""The loop over jobs: it submits them, collects results, replaces dead workers and stops without losing work."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from goalmaze.agents.training.log import latest_progress
from goalmaze.agents.training.signals import stop_signals
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import loaded_extensions
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.jobs.executors import CLUSTER_GONE, RunExecutor
from goalmaze.experiments.jobs.job import FINISHED, Job, Task

MAX_DEATHS = 3
"""Deaths of workers in a row on one run after which the sweep gives up."""

POLL_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class TaskSummary:
    """How the tasks of a sweep or a population ended.

    Attributes:
        finished: number of finished runs.
        failed: run → why it cannot be trained.
        stopped: whether a person ended them early.
        signal_number: the signal that ended them, where they were stopped.
    """

    finished: int
    failed: dict[str, str]
    stopped: bool
    signal_number: int = int(signal.SIGINT)


def run_tasks(
    tasks: Sequence[Task],
    root: Path,
    make_executor: Callable[[int], RunExecutor],
    save_every: float,
    *,
    unit: str = "run",
    keep_diverged: bool = False,
) -> TaskSummary:
    """Do the runs that are not finished yet.

    Args:
        tasks: all runs.
        root: the folder of all runs.
        make_executor: makes the executor for a number of runs; not called if all runs are finished.
        save_every: seconds between saves of a run.
        unit: what the progress bar calls a run.
        keep_diverged: see `Job`.

    Raises:
        GoalmazeError: workers died again and again, or the cluster is gone; saved work is kept.
    """
    unfinished = _unfinished(tasks, root)
    failed: dict[str, str] = {}
    if not unfinished:
        return TaskSummary(len(tasks), failed, stopped=False)
    with stop_signals() as stop_request, _progress_bar(tasks, root, unit) as show, contextlib.ExitStack() as stack:
        executor = make_executor(len(unfinished))
        stack.callback(executor.close)

        imports = loaded_extensions()

        def submit(some: Sequence[Task]) -> dict[Future[str], Task]:
            return {
                executor.submit(Job(root, task.name, task.recipe_in(root), save_every, imports, keep_diverged)): task
                for task in some
            }

        running = submit(list(unfinished.values()))
        deaths: Counter[str] = Counter()
        # A short wait, so that Ctrl-C and a scheduler that is gone are noticed within a second.
        while running and not stop_request.stop:
            done, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
            ended = [(running.pop(future), future) for future in done]
            lost = [task for task, future in ended if _has_lost_worker(future, executor)]
            for task, future in ended:
                if task not in lost:
                    _record(task, future, unfinished, failed)
                    # Progress: what killed earlier workers, such as a full memory, has passed.
                    deaths.clear()
            _count_deaths(deaths, lost, root)
            running |= submit(lost)
            executor.check()
            show(len(tasks) - len(unfinished))
        if stop_request.stop:
            executor.stop()
    # A run may have finished on a worker while the sweep was stopping.
    unfinished = _unfinished(list(unfinished.values()), root)
    stopped = any(name not in failed for name in unfinished)
    return TaskSummary(len(tasks) - len(unfinished), failed, stopped, stop_request.signal_number)


def _unfinished(tasks: Sequence[Task], root: Path) -> dict[str, Task]:
    return {task.name: task for task in tasks if finished_report(root / task.name) is None}


def _count_deaths(deaths: Counter[str], lost: Sequence[Task], root: Path) -> None:
    """Count the runs that lost their worker; refuse to go on when workers die again and again."""
    deaths.update(task.name for task in lost)
    for task in lost:
        if deaths[task.name] > MAX_DEATHS:
            raise GoalmazeError(
                f"workers died {MAX_DEATHS + 1} times in a row without finishing a run, such as {task.name}; is there "
                f"enough memory for them? Saved work is in {root}, the same command continues from there"
            )


def _has_lost_worker(future: Future[str], executor: RunExecutor) -> bool:
    """Return whether the worker of a run that ended has died."""
    return not future.cancelled() and isinstance(future.exception(), executor.lost)


def _record(task: Task, future: Future[str], unfinished: dict[str, Task], failed: dict[str, str]) -> None:
    """Record a run that ended while its worker was alive."""
    try:
        if future.result() == FINISHED:
            del unfinished[task.name]
    except GoalmazeError as error:
        failed[task.name] = str(error)
    except CancelledError:
        raise GoalmazeError(CLUSTER_GONE) from None
    except Exception as error:  # the other runs go on, whatever a run or a worker raises
        failed[task.name] = f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _progress_bar(tasks: Sequence[Task], root: Path, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar over the steps of all runs; yield a function that updates it, given the number of finished runs."""
    # tqdm's types leave out its attributes.
    bar: Any = tqdm(
        total=sum(t.recipe.steps for t in tasks), unit="step", unit_scale=True, desc="training", disable=None
    )

    def show(finished: int) -> None:
        if bar.disable:
            return
        # Read from the logs of the runs, which workers on other machines write too.
        latest = [latest_progress(root / task.name) for task in tasks]
        solved = [one.solved for one in latest if not math.isnan(one.solved)]
        postfix = {f"{unit}s": f"{finished}/{len(tasks)}"}
        if solved:
            postfix["solved"] = f"{statistics.fmean(solved):.2f} (least {min(solved):.2f})"
        bar.set_postfix(postfix, refresh=False)
        bar.update(sum(min(one.steps, task.recipe.steps) for one, task in zip(latest, tasks, strict=True)) - bar.n)
        bar.refresh()

    with contextlib.closing(bar):
        show(0)
        yield show
