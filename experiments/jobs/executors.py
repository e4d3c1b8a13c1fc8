"""Where training runs are executed: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import abc
import contextlib
import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.text_files import binary_flag
from goalmaze.experiments.jobs.job import INTERRUPTED, Job, run_job

CONNECT_SECONDS = 10
CLUSTER_GONE = "the Dask scheduler is gone; start it again: the same command continues from what is saved"
WORKERS_LOG = "workers.log"


class RunExecutor(abc.ABC):
    """Runs jobs on workers and returns futures.

    Attributes:
        lost: the exceptions of a future whose worker died; its job can be submitted again.
    """

    lost: tuple[type[BaseException], ...]

    @abc.abstractmethod
    def submit(self, job: Job) -> Future[str]:
        """Submit a job."""

    @abc.abstractmethod
    def check(self) -> None:
        """Check that the workers can still be reached.

        Raises:
            GoalmazeError: they cannot be reached any more.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """Let the workers save their runs and end, where that is possible; return when they have."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release the workers after the last job."""


class LocalRunExecutor(RunExecutor):
    """A pool of processes with one torch thread each; the next job replaces a pool that broke.

    Args:
        workers: number of processes.
        log: the file for their warnings and progress.
    """

    lost = (BrokenExecutor,)

    def __init__(self, workers: int, log: Path) -> None:
        self._workers, self._log = workers, log
        # Fresh interpreters: a fork would copy torch's threads and their locks in whatever state they are.
        self._context = multiprocessing.get_context("spawn")
        # A raw value, without a lock: a worker that is killed while it has the lock would block all others.
        self._stop: ctypes.c_byte = self._context.RawValue(ctypes.c_byte, 0)
        self._pool = self._new_pool()

    def _new_pool(self) -> Executor:
        return ProcessPoolExecutor(self._workers, self._context, _start_worker, (str(self._log), self._stop))

    def submit(self, job: Job) -> Future[str]:
        """Submit a job."""
        with _main_module_left_out():
            try:
                return self._pool.submit(_run_job_in_pool, job)
            except BrokenExecutor:
                # One dead worker breaks the whole pool of the standard library, so a new pool takes its place.
                self._pool.shutdown()
                self._pool = self._new_pool()
                return self._pool.submit(_run_job_in_pool, job)

    def check(self) -> None:
        """No-op: a broken pool surfaces through its futures."""

    def stop(self) -> None:
        """Let the workers finish their rollout, save and end; a second Ctrl-C ends them at once."""
        self._stop.value = 1
        try:
            self._pool.shutdown(cancel_futures=True)
        except KeyboardInterrupt:
            # shutdown waits for saves, which take seconds; the person does not want to wait for them.
            for process in multiprocessing.active_children():
                process.kill()
            raise

    def close(self) -> None:
        """Release the workers; those that still run save first."""
        self.stop()


def make_executor(workers: int, cluster: str, log: Path, runs: int) -> RunExecutor:
    """Return the executor for a number of runs.

    Args:
        workers: number of processes of this machine; 0 for one a core.
        cluster: the address of a Dask scheduler; empty for processes of this machine.
        log: the file for warnings of the processes.
        runs: number of runs.
    """
    if cluster:
        return DaskRunExecutor(cluster)
    return LocalRunExecutor(min(runs, workers or os.cpu_count() or 1), log)


@contextlib.contextmanager
def _main_module_left_out() -> Iterator[None]:
    """Keep processes that are started inside the context from importing the main module of this one.

    No job needs it, and a script that trains without `if __name__ == "__main__":` would start to train in each of them.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


_stop = ctypes.c_byte(0)
"""In a worker: 1 once the parent stops."""


def _start_worker(log: str, stop: ctypes.c_byte) -> None:
    """Prepare a worker process: Ctrl-C does not reach it, its errors go to the log, and it ends with its parent."""
    global _stop
    _stop = stop
    # A process group of its own, because Ctrl-C in a terminal interrupts the sweep's whole group. Windows has none.
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | binary_flag(), 0o644)
    # At the level of the file descriptor, so that messages of C libraries go to the log too.
    os.dup2(descriptor, 2)
    # One thread a worker: the parallelism of a sweep is its runs.
    torch.set_num_threads(1)
    for watch in (_exit_with_parent, _forward_stop):
        threading.Thread(target=watch, daemon=True).start()


def _exit_with_parent() -> None:
    """Exit when the parent process ends for any reason; saved work stays for the next sweep."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # Not sys.exit, which ends this thread alone.
        os._exit(1)


def _forward_stop() -> None:
    """Send SIGINT to this process when the sweep stops: the training that runs in it handles the signal."""
    # Outside of training SIGINT is ignored, see `_start_worker`.
    while not _stop.value or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)


def _run_job_in_pool(job: Job) -> str:
    """Run a job in a worker of the pool."""
    # Jobs that were queued when the sweep stopped still arrive here.
    if _stop.value:
        return INTERRUPTED
    result = run_job_with_plain_errors(job)
    if result == INTERRUPTED and not _stop.value:
        # The run was interrupted by SIGTERM, not by the sweep: a broken pool sends it to its other workers and
        # waits for them to end.
        os._exit(0)
    return result


def run_job_with_plain_errors(job: Job) -> str:
    """Run a job; errors are plain `GoalmazeError`s, which can be pickled, unlike some of their subclasses."""
    try:
        return run_job(job)
    except GoalmazeError as error:
        raise GoalmazeError(str(error)) from None


class DaskRunExecutor(RunExecutor):
    """The workers of a Dask cluster. When a worker dies, the scheduler moves its run to another one.

    Args:
        address: the address of the scheduler, such as ``tcp://127.0.0.1:8786``.

    Raises:
        GoalmazeError: Dask is not installed, no scheduler answers in time, or it has no workers.
    """

    def __init__(self, address: str) -> None:
        try:
            # An extra without types of its own.
            distributed: Any = importlib.import_module("distributed")
        except ImportError:
            raise GoalmazeError(
                "--cluster needs Dask; install it with: pip install 'goalmaze[cluster]', here and on the workers"
            ) from None
        self.lost = (distributed.KilledWorker,)
        try:
            self._client: Any = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            reason = str(error).split("\n")[0] or "no answer"
            raise GoalmazeError(
                f"--cluster {address}: no Dask scheduler answered within {CONNECT_SECONDS} s ({reason}); start one "
                "with: dask scheduler --host 127.0.0.1"
            ) from None
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError):
            self._client.close()
            raise GoalmazeError(
                f"--cluster {address} has no workers; start some with: dask worker {address} --nthreads 1"
            ) from None
        # pure=False: a job that was lost is run again and not answered from Dask's cache of equal calls.
        self._executor: Executor = self._client.get_executor(pure=False)

    def submit(self, job: Job) -> Future[str]:
        """Submit a job."""
        return self._executor.submit(run_job_with_plain_errors, job)

    def check(self) -> None:
        """Check that the scheduler is still there; Dask tries to reconnect before it counts as gone."""
        if self._client.status in ("closing", "closed", "failed"):
            raise GoalmazeError(CLUSTER_GONE)

    def stop(self) -> None:
        """Cancel jobs that no worker has started; running jobs go on, and the next start finds their results."""
        self.close()

    def close(self) -> None:
        """Disconnect from the cluster and leave it running."""
        # Disconnecting from a scheduler that is gone fails, and must not hide the first error.
        with contextlib.suppress(OSError):
            self._executor.shutdown(wait=False)
            self._client.close(timeout=CONNECT_SECONDS)
