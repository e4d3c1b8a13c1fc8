"""Populations that take seconds, trained in the process of the test."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import ModuleType

import pytest

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.jobs import report as agent_report
from goalmaze.experiments.jobs.executors import RunExecutor
from goalmaze.experiments.jobs.job import Job, run_job
from goalmaze.experiments.train.population import pool
from goalmaze.experiments.train.population import report as population_report

OPTIONS = (
    "--family Corner --size 5 --network-options channels=4 blocks=1 hidden=8 --steps {steps} "
    "--set envs=16 rollout_steps=16 minibatches=2 epochs=1"
)


def options(steps: int) -> list[str]:
    """Return the options of `goalmaze train` for agents that take seconds."""
    return OPTIONS.format(steps=steps).split()


class InlineExecutor(RunExecutor):
    """Does every job at once in this process: what it does is the same, without the start of workers."""

    lost = ()

    def submit(self, job: Job) -> Future[str]:
        future: Future[str] = Future()
        try:
            future.set_result(run_job(job))
        except GoalmazeError as error:
            future.set_exception(error)
        return future

    def check(self) -> None:
        """No-op."""

    def stop(self) -> None:
        """No-op."""

    def close(self) -> None:
        """No-op."""


@contextmanager
def small_populations(levels: int, *modules: ModuleType) -> Iterator[pytest.MonkeyPatch]:
    """Train populations in this process, and evaluate their agents on few levels.

    Args:
        levels: number of levels of a report.
        modules: further modules with a number of levels of their own.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in (agent_report, population_report, *modules):
            patch.setattr(module, "REPORT_LEVELS", levels)
        patch.setattr(pool, "make_executor", lambda *_: InlineExecutor())
        yield patch
