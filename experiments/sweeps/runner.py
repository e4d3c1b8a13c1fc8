"""The conducting of a sweep: orders out, results in, dead workers replaced, a bar, and a stop that loses nothing."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from goalmaze.agents.training.signals import stop_signals
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.sweeps.executors import GONE, RunExecutor
from goalmaze.experiments.sweeps.plan import Task
from goalmaze.experiments.sweeps.tasks import FINISHED, order, report_of, steps_of

LOSSES = 3
"""How often in a row workers may die before any run is finished."""

LOOK_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of the runs.

    Attributes:
        finished: how many are.
        failed: run → why it cannot be trained.
        stopped: whether a person ended the sweep early.
    """

    finished: int
    failed: dict[str, str]
    stopped: bool


def conduct(tasks: Sequence[Task], root: Path, crew: Callable[[int], RunExecutor], save_every: float) -> Outcome:
    """Carry out the runs that are not finished yet.

    Args:
        tasks: all runs of the sweep.
        root: the sweep's folder.
        crew: makes the crew for a number of runs; none is made where all are finished.
        save_every: seconds between saves.

    Raises:
        GoalmazeError: workers died again and again, or the cluster went away; what is saved stays.
    """
    left = {task.name: task for task in tasks if report_of(root / task.name) is None}
    failed: dict[str, str] = {}
    if not left:
        return Outcome(len(tasks), failed, stopped=False)
    with stop_signals() as stop_request, _bar(tasks, root) as look, contextlib.ExitStack() as stack:
        workers = crew(len(left))
        stack.callback(workers.close)
        under_way = {_submit(workers, task, root, save_every): task for task in left.values()}
        losses: Counter[str] = Counter()
        while under_way and not stop_request.stop:
            done, _ = wait(under_way, LOOK_SECONDS, FIRST_COMPLETED)
            ended = [(under_way.pop(future), future) for future in done]
            lost = [task for task, future in ended if _is_lost(future, workers)]
            for task, future in ended:
                if task not in lost:
                    _take(task, future, left, failed)
                    losses.clear()
            _count(losses, lost, root)
            under_way |= {_submit(workers, task, root, save_every): task for task in lost}
            workers.check()
            look(len(tasks) - len(left))
        if stop_request.stop:
            workers.stop()
    left = {name: task for name, task in left.items() if report_of(root / name) is None}
    return Outcome(len(tasks) - len(left), failed, stopped=any(name not in failed for name in left))


def _submit(crew: RunExecutor, task: Task, root: Path, save_every: float) -> Future[str]:
    return crew.submit(order(root, task.name, dataclasses.asdict(task.recipe), save_every))


def _count(losses: Counter[str], lost: Sequence[Task], root: Path) -> None:
    """Count the runs that lost their worker, and give up on workers that die again and again."""
    losses.update(task.name for task in lost)
    for task in lost:
        if losses[task.name] > LOSSES:
            raise GoalmazeError(
                f"workers died {LOSSES + 1} times in a row without finishing a run, such as {task.name}; is there "
                f"memory enough for them? What is saved stays in {root}, the same command goes on from there"
            )


def _is_lost(future: Future[str], crew: RunExecutor) -> bool:
    """Return whether the worker died under a run that ended."""
    return not future.cancelled() and isinstance(future.exception(), crew.lost)


def _take(task: Task, future: Future[str], left: dict[str, Task], failed: dict[str, str]) -> None:
    """Take note of a run that ended with its worker alive."""
    try:
        if future.result() == FINISHED:
            del left[task.name]
    except GoalmazeError as error:
        failed[task.name] = str(error)
    except CancelledError:
        raise GoalmazeError(GONE) from None
    except Exception as error:  # whatever a run or a worker may raise, the other runs go on
        failed[task.name] = f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _bar(tasks: Sequence[Task], root: Path) -> Iterator[Callable[[int], None]]:
    """Show the steps of all runs; yield what brings the bar up to date, given how many are finished."""
    bar: Any = tqdm(total=sum(t.recipe.steps for t in tasks), unit="step", unit_scale=True, desc="sweep", disable=None)

    def look(finished: int) -> None:
        if bar.disable:
            return
        bar.set_postfix(runs=f"{finished}/{len(tasks)}", refresh=False)
        bar.update(sum(min(steps_of(root / task.name), task.recipe.steps) for task in tasks) - bar.n)
        bar.refresh()

    with contextlib.closing(bar):
        look(0)
        yield look
