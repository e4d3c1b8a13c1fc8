"""Populations that take seconds, trained in the process of the test."""

from __future__ import annotations

from concurrent.futures import Future

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.jobs.executors import RunExecutor
from goalmaze.experiments.jobs.job import Job, run_job

OPTIONS = (
    "--family Corner --size 5 --network-options channels=4 blocks=1 hidden=8 --steps {steps} "
    "--set envs=16 rollout_steps=16 minibatches=2 epochs=1"
)


def options(steps: int) -> list[str]:
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
