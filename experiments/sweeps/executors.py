"""Who carries out the runs of a sweep: processes of this machine, or the workers of a Dask cluster, behind one seam."""

from __future__ import annotations

import abc
import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.sweeps.tasks import INTERRUPTED, carry_out

CONNECT_SECONDS = 10
GONE = "the Dask scheduler went away; start it again: the same command goes on from what is saved"
WORKERS_LOG = "workers.log"


class RunExecutor(abc.ABC):
    """Takes orders and gives futures.

    Attributes:
        lost: what a future raises if the worker died under it; the order can then be given again.
    """

    lost: tuple[type[BaseException], ...]

    @abc.abstractmethod
    def submit(self, order: Mapping[str, Any]) -> Future[str]:
        """Give an order."""

    @abc.abstractmethod
    def check(self) -> None:
        """Find out whether the workers can still be reached.

        Raises:
            GoalmazeError: they cannot, for good.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """Have the workers save what they are at and end, as far as that can be; return once they have."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let the workers go; nothing is under way any more."""


class LocalRunExecutor(RunExecutor):
    """A pool of processes with one thread of torch each; a pool that broke is made anew by the next order.

    Args:
        workers: how many processes.
        log: where their warnings and progress go.
    """

    lost = (BrokenExecutor,)

    def __init__(self, workers: int, log: Path) -> None:
        self._workers, self._log = workers, log
        self._context = multiprocessing.get_context("spawn")
        self._stop = self._context.RawValue("b", 0)
        self._pool = self._new_pool()

    def _new_pool(self) -> Executor:
        return ProcessPoolExecutor(self._workers, self._context, _enlist, (str(self._log), self._stop))

    def submit(self, order: Mapping[str, Any]) -> Future[str]:
        """Give an order."""
        try:
            return self._pool.submit(_carry_out_here, order)
        except BrokenExecutor:
            self._pool.shutdown()
            self._pool = self._new_pool()
            return self._pool.submit(_carry_out_here, order)

    def check(self) -> None:
        """Find nothing: a pool that broke tells by its futures."""

    def stop(self) -> None:
        """Have the workers save after the rollout they are at and end; a second Ctrl-C ends them at once."""
        self._stop.value = 1
        try:
            self._pool.shutdown(cancel_futures=True)
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.kill()
            raise

    def close(self) -> None:
        """Let the workers go; where an error left any at work, they save first."""
        self.stop()


_stop: Any = None


def _enlist(log: str, stop: Any) -> None:
    """Make this process a worker: out of reach of Ctrl-C, without a terminal, and gone once its parent is."""
    global _stop
    _stop = stop
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 2)
    torch.set_num_threads(1)
    for watch in (_leave_with_parent, _pass_on):
        threading.Thread(target=watch, daemon=True).start()


def _leave_with_parent() -> None:
    """End with the process that gave the orders, however it ended; what was saved is there for the next."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _pass_on() -> None:
    """Once the crew is told to stop, ask the training under way to: it alone does not ignore this signal."""
    while not _stop.value or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)


def _carry_out_here(order: Mapping[str, Any]) -> str:
    """Carry out an order in a worker of the pool."""
    if _stop.value:
        return INTERRUPTED
    result = carry_out_plainly(order)
    if result == INTERRUPTED and not _stop.value:
        os._exit(0)  # by SIGTERM, which is how a pool that broke ends its workers, and it waits until they are gone
    return result


def carry_out_plainly(order: Mapping[str, Any]) -> str:
    """Carry out an order; its errors are of a kind that every process can read."""
    try:
        return carry_out(order)
    except GoalmazeError as error:
        raise GoalmazeError(str(error)) from None


class DaskRunExecutor(RunExecutor):
    """The workers of a Dask cluster. A scheduler that loses a worker gives its run to another by itself.

    Args:
        address: of the scheduler, such as ``tcp://127.0.0.1:8786``.

    Raises:
        GoalmazeError: Dask is not installed, no scheduler answers in time, or it has no workers.
    """

    def __init__(self, address: str) -> None:
        try:
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
        self._executor: Executor = self._client.get_executor(pure=False)

    def submit(self, order: Mapping[str, Any]) -> Future[str]:
        """Give an order."""
        return self._executor.submit(carry_out_plainly, order)

    def check(self) -> None:
        """Find out whether the scheduler is still there; a new connection is tried before it counts as gone."""
        if self._client.status in ("closing", "closed", "failed"):
            raise GoalmazeError(GONE)

    def stop(self) -> None:
        """Take back what no worker has begun; runs under way go on to their end, which the next start finds."""
        self.close()

    def close(self) -> None:
        """Leave the cluster as it was."""
        with contextlib.suppress(OSError):
            self._executor.shutdown(wait=False)
            self._client.close(timeout=CONNECT_SECONDS)
